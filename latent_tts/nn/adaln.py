"""An MLP that is steered from the side: adaptive layer norm (Peebles & Xie 2023), as the heads of LatentLM have it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

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


class AdaLNMLP(nn.Module):
    """x (..., C_in), steered by c (..., dim) -> (..., C_out); zero everywhere before it has learnt.

    ``steering`` are the modules that what extends it makes c with. They stand behind ``enter``: the state of an
    optimiser in a checkpoint knows weights by their order.
    """

    def __init__(self, in_dim: int, out_dim: int, dim: int, layers: int, **steering: nn.Module):
        super().__init__()
        self.dim = dim
        self.enter = nn.Linear(in_dim, dim)
        for name, module in steering.items():
            self.add_module(name, module)
        self.blocks = nn.ModuleList(AdaLNBlock(dim) for _ in range(layers))
        self.norm = nn.RMSNorm(dim, eps=1e-5, elementwise_affine=False)
        self.modulation = nn.Linear(dim, 2 * dim)
        self.leave = nn.Linear(dim, out_dim)
        for layer in (self.modulation, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return self.modulated(x, self.modulations(c))

    def modulations(self, c: Tensor) -> list[Tensor]:
        """(..., dim) -> what steers each block and the end: three (..., dim) a block, then two."""
        shift, scale = self.modulation(c).split(self.dim, dim=-1)
        return [m for block in self.blocks for m in block.modulations(c)] + [shift, 1 + scale]

    def modulated(self, x: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        """As ``forward``, from modulations that were computed before."""
        x = self.enter(x)
        for i, block in enumerate(self.blocks):
            x = block.modulated(x, *modulations[3 * i : 3 * i + 3])
        shift, scale = modulations[-2:]
        return self.leave(self.norm(x) * scale + shift)


def embedding_mlp(in_dim: int, dim: int) -> nn.Sequential:
    """(..., C_in) -> (..., dim): two layers, for what steers an AdaLNMLP."""
    return nn.Sequential(nn.Linear(in_dim, dim), nn.SiLU(), nn.Linear(dim, dim))


def sinusoids(t: Tensor, dim: int = 256) -> Tensor:
    """(...) -> (..., dim) cosines and sines of geometrically spaced rates, highest period 10000."""
    rates = torch.exp(-math.log(10000) * torch.arange(dim // 2, device=t.device) / (dim // 2))
    angle = t[..., None].float() * rates
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
