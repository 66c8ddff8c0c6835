"""Heads that turn a condition into a frame; each owns its loss and its sampler. ``HEADS`` is their registry."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.errors import UserError
from latent_tts.frames import Sampling
from latent_tts.lm.guidance import GUIDANCE, Guidance, answers, guide_condition, guide_output
from latent_tts.nn.adaln import AdaLNMLP, embedding_mlp, sinusoids
from latent_tts.nn.diffusion import CosineSchedule, dpm_solver, solver_times


class Head(Protocol):
    """What every head is: a loss of frames under conditions, and a sampler of frames, both row by row."""

    noise_dim: int  # width of the noise that ``sample`` wants

    def loss(self, frames: Tensor, cond: Tensor) -> Tensor:
        """Frames (M, D), conditions (M, H) -> (M,). Noise and times come from torch's own generator."""
        ...

    def sample(self, cond: Tensor, null: Tensor, sampling: Sampling, noise: Tensor) -> Tensor:
        """Conditions (B, H), null condition (H,), unit noise (B, noise_dim) -> frames (B, D).

        ``sampling.temperature`` scales the noise, so that 0 is the same frame every time; ``sampling.guidance`` leads
        away from the null, 1 being none of it.
        """
        ...

    def evaluations(self, sampling: Sampling) -> int:
        """How often ``sample`` asks the network for a frame; an answer at the null condition is one more."""
        ...


class DiffusionHead(AdaLNMLP):
    """Next-token diffusion (LatentLM, Sun et al. 2024): an AdaLN MLP that predicts v under a cosine schedule.

    ``loss`` averages over ``draws`` independent times and noises a frame; ``sample`` runs DPM-Solver++(2M), guided at
    every evaluation.
    """

    def __init__(
        self, frame_dim: int, cond_dim: int, dim: int, layers: int, draws: int = 4, guide: Guidance = guide_output
    ):
        steering = {"condition": nn.Linear(cond_dim, dim), "time": embedding_mlp(256, dim)}
        super().__init__(frame_dim, frame_dim, dim, layers, **steering)
        self.noise_dim, self.draws, self.guide = frame_dim, draws, guide
        self.schedule = CosineSchedule()

    def velocity(self, x: Tensor, t: Tensor | int, cond: Tensor) -> Tensor:
        """Noisy frames (..., D), times (...) of the schedule or one for all, conditions (..., H) -> v (..., D)."""
        times = torch.atleast_1d(torch.as_tensor(t, device=x.device))
        return self(x, F.silu(self.condition(cond) + self.time(sinusoids(times))))

    def loss(self, frames: Tensor, cond: Tensor) -> Tensor:
        """(M, D), (M, H) -> (M,) mean squared error of v, unweighted over uniform times."""
        frames, cond = (x.repeat_interleave(self.draws, dim=0) for x in (frames, cond))
        t = torch.randint(self.schedule.steps, (len(frames),), device=frames.device)
        noisy, velocity = self.schedule.diffuse(frames, torch.randn_like(frames), t)
        error = (self.velocity(noisy, t, cond).float() - velocity).square().mean(dim=1)
        return error.view(-1, self.draws).mean(dim=1)

    def sample(self, cond: Tensor, null: Tensor, sampling: Sampling, noise: Tensor) -> Tensor:
        """Conditions (B, H), null condition (H,), unit noise (B, D) -> frames (B, D) in ``sampling.steps`` steps.

        What does not hang on the noise, the modulations of all times, is computed before the first evaluation.
        """
        conditions, joined = self.guide(cond, null, sampling.guidance)
        times = solver_times(self.schedule, sampling.steps)
        grid = torch.tensor(times, device=cond.device)[:, None, None]
        steered = self.modulations(F.silu(self.condition(conditions) + self.time(sinusoids(grid))))
        modulations = dict(zip(times, zip(*(m.unbind() for m in steered))))  # each (R, B, dim), R conditions

        def velocity(x: Tensor, t: int) -> Tensor:
            return joined(self.modulated(x, modulations[t]))

        return dpm_solver(self.schedule, velocity, noise * sampling.temperature, sampling.steps)

    def evaluations(self, sampling: Sampling) -> int:
        return len(solver_times(self.schedule, sampling.steps)) * answers(self.guide, sampling.guidance)


class FlowHead(AdaLNMLP):
    """A flow map learnt by Lagrangian self-distillation (Boffi et al. 2025), the one-step head of CALM (Rouard et al.
    2025).

    Noise e is at time 0, a frame x at time 1, between them x_t = t x + (1 - t) e. The network says v(x_s, s, t), the
    average velocity on the way from s to t, so that X(x_s, s, t) = x_s + (t - s) v is a jump along the flow. Of the
    ``draws`` noises a frame three in four, with s = t, learn the flow itself (flow matching: v = x - e); the others
    learn that a jump's end moves, as t grows, with the velocity of the place where it ends. Times are logit-normal.
    Papers weigh the terms by a learned function of s and t; here all count alike.
    """

    time_mean = 0.4  # of the times' logits, whose deviation is 1: later than the middle, as in CALM

    def __init__(
        self, frame_dim: int, cond_dim: int, dim: int, layers: int, draws: int = 4, guide: Guidance = guide_output
    ):
        if draws < 2:
            raise UserError(f"a flow head learns from at least 2 draws a frame, not {draws}")
        times = {"begin": embedding_mlp(256, dim), "end": embedding_mlp(256, dim)}
        super().__init__(frame_dim, frame_dim, dim, layers, condition=nn.Linear(cond_dim, dim), **times)
        self.noise_dim, self.draws, self.guide = frame_dim, draws, guide

    def velocity(self, x: Tensor, s: Tensor | float, t: Tensor | float, cond: Tensor) -> Tensor:
        """Frames (..., D) at times s, on their way to t, each (...) or one for all, conditions (..., H) -> (..., D)."""
        s, t = (sinusoids(torch.atleast_1d(torch.as_tensor(time, device=x.device))) for time in (s, t))
        return self(x, F.silu(self.condition(cond) + self.begin(s) + self.end(t)))

    def loss(self, frames: Tensor, cond: Tensor) -> Tensor:
        """(M, D), (M, H) -> (M,) mean squared error of velocities over all draws."""
        jumps = max(1, self.draws // 4)
        counts = {self._matching: self.draws - jumps, self._lagrangian: jumps}
        errors = [
            term(*(x.repeat_interleave(count, dim=0) for x in (frames, cond))).view(-1, count)
            for term, count in counts.items()
        ]
        return torch.cat(errors, dim=1).mean(dim=1)

    def _times(self, *shape: int, device: torch.device) -> Tensor:
        return torch.sigmoid(torch.randn(shape, device=device) + self.time_mean)

    def _matching(self, frames: Tensor, cond: Tensor) -> Tensor:
        """Flow matching (Lipman et al. 2023): (M, D), (M, H) -> (M,)."""
        t, noise = self._times(len(frames), device=frames.device), torch.randn_like(frames)
        velocity = self.velocity(torch.lerp(noise, frames, t[:, None]), t, t, cond)
        return (velocity.float() - (frames - noise)).square().mean(dim=1)

    def _lagrangian(self, frames: Tensor, cond: Tensor) -> Tensor:
        """|| d/dt X(x_s, s, t) - v(X(x_s, s, t), t, t) ||^2, the second term taken as given: (M, D), (M, H) -> (M,).

        In fp32, since bf16 spoils the derivative, and never in inference mode, where torch has none.
        """
        with torch.autocast(frames.device.type, enabled=False), torch.inference_mode(False):
            frames, cond = frames.float().clone(), cond.float().clone()
            s, t = self._times(2, len(frames), device=frames.device).sort(dim=0).values
            x = torch.lerp(torch.randn_like(frames), frames, s[:, None])

            def jump(t: Tensor) -> Tensor:
                return x + (t - s)[:, None] * self.velocity(x, s, t, cond)

            arrival, drift = torch.func.jvp(jump, (t,), (torch.ones_like(t),))
            with torch.no_grad():
                velocity = self.velocity(arrival, t, t, cond)
            return (drift - velocity).square().mean(dim=1)

    def sample(self, cond: Tensor, null: Tensor, sampling: Sampling, noise: Tensor) -> Tensor:
        """Conditions (B, H), null condition (H,), unit noise (B, D) -> frames (B, D) in ``sampling.steps`` equal jumps.

        One step is one evaluation. Guidance is on average velocities: with one jump it is a line from the frame that
        the null gives through the one that the condition gives, from the same noise.
        """
        conditions, joined = self.guide(cond, null, sampling.guidance)
        x, steps = noise * sampling.temperature, sampling.steps
        for i in range(steps):
            velocities = self.velocity(x.expand(len(conditions), *x.shape), i / steps, (i + 1) / steps, conditions)
            x = x + joined(velocities) / steps
        return x

    def evaluations(self, sampling: Sampling) -> int:
        return sampling.steps * answers(self.guide, sampling.guidance)


class EnergyHead(AdaLNMLP):
    """Frames in one evaluation, learnt by energy distance (SLED, Ma et al. 2025): an MLP of the condition that noise
    steers by AdaLN.

    ``loss`` compares ``draws`` frames of its own with the true one; with 2 it is SLED's. Guidance is in the space of
    conditions unless it is told otherwise.
    """

    noise_dim = 64

    def __init__(
        self, frame_dim: int, cond_dim: int, dim: int, layers: int, draws: int = 2, guide: Guidance = guide_condition
    ):
        if draws < 2:
            raise UserError(f"an energy head compares at least 2 draws a frame, not {draws}")
        super().__init__(cond_dim, frame_dim, dim, layers, noise=embedding_mlp(self.noise_dim, dim))
        self.draws, self.guide = draws, guide

    def frames(self, noise: Tensor, cond: Tensor) -> Tensor:
        """Unit noise (..., noise_dim), conditions (..., H) -> (..., D)."""
        return self(cond, F.silu(self.noise(noise)))

    def loss(self, frames: Tensor, cond: Tensor) -> Tensor:
        """(M, D), (M, H) -> (M,) energy scores."""
        cond = cond.repeat(self.draws, 1)
        drawn = self.frames(torch.randn(len(cond), self.noise_dim, device=cond.device), cond)
        return energy_score(drawn.float().view(self.draws, *frames.shape), frames)

    def sample(self, cond: Tensor, null: Tensor, sampling: Sampling, noise: Tensor) -> Tensor:
        """Conditions (B, H), null condition (H,), unit noise (B, noise_dim) -> frames (B, D); steps have no part."""
        conditions, joined = self.guide(cond, null, sampling.guidance)
        noise = noise * sampling.temperature
        return joined(self.frames(noise.expand(len(conditions), *noise.shape), conditions))

    def evaluations(self, sampling: Sampling) -> int:
        return answers(self.guide, sampling.guidance)


def energy_score(drawn: Tensor, frames: Tensor) -> Tensor:
    """n >= 2 independent draws (n, M, D) for each of the true frames (M, D) -> (M,), the lower the better.

    2 E|a - y| - E|a - b| over draws a, b, unbiased, in units of a float's deviation (norms are divided by sqrt(D)): a
    strictly proper score (Gneiting & Raftery 2007), so on average nothing scores better than the true distribution.
    """
    count = len(drawn)
    near = torch.linalg.vector_norm(drawn - frames, dim=-1).mean(dim=0)
    apart = torch.linalg.vector_norm(drawn[:, None] - drawn, dim=-1).sum(dim=(0, 1)) / (count * (count - 1))
    return (2 * near - apart) / frames.shape[-1] ** 0.5


HEADS = {"ddpm": DiffusionHead, "flow": FlowHead, "energy": EnergyHead}


def build_head(
    kind: str, frame_dim: int, cond_dim: int, dim: int, layers: int, draws: int, guidance: str | None = None
) -> Head:
    """A head of HEADS by its name; ``guidance`` is one of GUIDANCE, None the head's own. UserError for other names."""
    for what, name, known in (("head", kind, HEADS), ("form of guidance", guidance, {None: None, **GUIDANCE})):
        if name not in known:
            raise UserError(f"there is no {what} {name!r}; known are {', '.join(filter(None, known))}")
    guide = {} if guidance is None else {"guide": GUIDANCE[guidance]}
    return HEADS[kind](frame_dim, cond_dim, dim, layers, draws, **guide)
