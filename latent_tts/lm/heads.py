"""Heads that turn a condition into a frame; each owns its loss and its sampler."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Sampling
from latent_tts.nn.diffusion import CosineSchedule, dpm_solver, solver_times
from latent_tts.nn.transformer import SwiGLU


class AdaLNBlock(nn.Module):
    """x + gate * SwiGLU(RMSNorm(x) * (1 + scale) + shift), all three from the condition (LatentLM's block)."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        self.norm = nn.RMSNorm(dim, eps=1e-5, elementwise_affine=False)
        self.modulation = nn.Linear(dim, 3 * dim)
        self.mlp = SwiGLU(dim, 2.0)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return self.modulated(x, *self.modulations(c))

    def modulations(self, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(..., dim) -> shift, 1 + scale and gate, each (..., dim)."""
        shift, scale, gate = self.modulation(c).split(self.dim, dim=-1)
        return shift, 1 + scale, gate

    def modulated(self, x: Tensor, shift: Tensor, scale: Tensor, gate: Tensor) -> Tensor:
        return x + gate * self.mlp(self.norm(x) * scale + shift)


class DiffusionHead(nn.Module):
    """Next-token diffusion (LatentLM, Sun et al. 2024): an AdaLN MLP that predicts v under a cosine schedule.

    ``loss`` averages over ``draws`` independent times and noises a frame; ``sample`` runs DPM-Solver++(2M), with
    classifier-free guidance between the condition and ``null`` at every evaluation.
    """

    def __init__(self, frame_dim: int, cond_dim: int, dim: int, layers: int, draws: int = 4):
        super().__init__()
        self.dim, self.draws = dim, draws
        self.schedule = CosineSchedule()
        self.enter = nn.Linear(frame_dim, dim)
        self.condition = nn.Linear(cond_dim, dim)
        self.time = nn.Sequential(nn.Linear(256, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.blocks = nn.ModuleList(AdaLNBlock(dim) for _ in range(layers))
        self.norm = nn.RMSNorm(dim, eps=1e-5, elementwise_affine=False)
        self.modulation = nn.Linear(dim, 2 * dim)
        self.leave = nn.Linear(dim, frame_dim)
        for layer in (self.modulation, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """Noisy frames (M, D), integer times (M,), conditions (M, H) -> v (M, D)."""
        return self._denoise(x, self._modulations(t, cond))

    def _modulations(self, t: Tensor, cond: Tensor) -> list[Tensor]:
        """Times (...), conditions (..., H) -> what steers each block and the end, three (..., dim) a block, two."""
        c = F.silu(self.condition(cond) + self.time(_sinusoids(t)))
        shift, scale = self.modulation(c).split(self.dim, dim=-1)
        return [m for block in self.blocks for m in block.modulations(c)] + [shift, 1 + scale]

    def _denoise(self, x: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        x = self.enter(x)
        for i, block in enumerate(self.blocks):
            x = block.modulated(x, *modulations[3 * i : 3 * i + 3])
        shift, scale = modulations[-2:]
        return self.leave(self.norm(x) * scale + shift)

    def loss(self, frames: Tensor, cond: Tensor) -> Tensor:
        """(M, D), (M, H) -> (M,) mean squared error of v, unweighted over uniform times."""
        frames, cond = (x.repeat_interleave(self.draws, dim=0) for x in (frames, cond))
        t = torch.randint(self.schedule.steps, (len(frames),), device=frames.device)
        noisy, velocity = self.schedule.diffuse(frames, torch.randn_like(frames), t)
        error = (self(noisy, t, cond).float() - velocity).square().mean(dim=1)
        return error.view(-1, self.draws).mean(dim=1)

    def sample(self, cond: Tensor, null: Tensor, sampling: Sampling, noise: Tensor) -> Tensor:
        """Conditions (B, H), null condition (H,), unit noise (B, D) -> frames (B, D).

        What does not hang on the noise, the modulations of all times, is computed before the first evaluation.
        """
        times = solver_times(self.schedule, sampling.steps)
        grid = torch.tensor(times, device=cond.device)[:, None, None]
        steered = self._modulations(grid, cond)  # each (times, 1, B, dim), the 1 for rows with and without condition
        if sampling.guidance != 1:
            free = self._modulations(grid, null[None])
            steered = [torch.cat([m, n.expand_as(m)], dim=1) for m, n in zip(steered, free)]
        modulations = dict(zip(times, zip(*(m.split(1) for m in steered))))

        def velocity(x: Tensor, t: int) -> Tensor:
            v = self._denoise(x, modulations[t])
            if sampling.guidance == 1:
                return v
            with_text, without = v.split(1, dim=1)
            return without + sampling.guidance * (with_text - without)

        noise = noise[None, None] * sampling.temperature
        return dpm_solver(self.schedule, velocity, noise, sampling.steps)[0, 0]


def _sinusoids(t: Tensor, dim: int = 256) -> Tensor:
    """(...) -> (..., dim) cosines and sines of geometrically spaced rates, highest period 10000."""
    rates = torch.exp(-math.log(10000) * torch.arange(dim // 2, device=t.device) / (dim // 2))
    angle = t[..., None].float() * rates
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
