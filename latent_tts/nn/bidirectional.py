"""Transformers whose steps look wherever a mask lets them; one of them is steered by a condition."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.nn.attention import rotary, rotate
from latent_tts.nn.state import State, remember
from latent_tts.nn.transformer import Block

Tables = tuple[Tensor, Tensor]  # cosines and sines of steps' places, each (B, 1, N, dim)


def sight(places: Tensor, reach: Tensor, visible: Tensor) -> Tensor:
    """Places of keys (B, M), the last place that a query sees (B, N), which keys are no padding (B, M) bool -> mask
    (B, 1, N, M), True where a query may look. The N queries are the last keys; each sees itself, so none is blind."""
    keys = torch.arange(places.shape[1], device=places.device)
    own = keys[-reach.shape[1] :, None] == keys
    return ((places[:, None] <= reach[..., None]) & visible[:, None] | own)[:, None]


class MaskedAttention(nn.Module):
    """(B, N, H) -> (B, N, H), with rotary places and a mask (B, 1, N or 1, M + N), True where a query may look.

    A call with an empty state leaves its keys and values there. Calls after it see them as the first M of theirs and
    leave the state as it is: what does not change between the steps of a solver is computed once.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, tables: Tables, mask: Tensor, state: State | None = None) -> Tensor:
        batch, count, dim = x.shape
        qkv = self.qkv(x).view(batch, count, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        (q, k), v = rotate(qkv[:2], *(table.to(qkv.dtype) for table in tables)), qkv[2]
        if state is not None and self in state:
            k, v = (torch.cat(pair, dim=2) for pair in zip(state[self], (k, v)))
        else:
            remember(self, state, (k, v))
        y = F.scaled_dot_product_attention(q, k, v, mask)
        return self.out(y.transpose(1, 2).reshape(batch, count, dim))


class MaskedBlock(Block):
    """x + attention(norm(x)), then x + mlp(norm(x)), looking where a mask lets it."""

    def __init__(self, dim: int, heads: int, dropout: float):
        super().__init__(dim, heads, dropout)
        self.attention = MaskedAttention(dim, heads)

    def forward(self, x: Tensor, tables: Tables, mask: Tensor, state: State | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), tables, mask, state))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class SteeredBlock(MaskedBlock):
    """A block whose norms are shifted and scaled, and whose branches are gated, by a modulation (B, 6, H) that all
    blocks share and a table of its own (adaLN-single of PixArt-alpha, Chen et al. 2023, after DiT, Peebles & Xie 2023).
    Unlike theirs it begins as the plain block, gates at 1."""

    def __init__(self, dim: int, heads: int, dropout: float):
        super().__init__(dim, heads, dropout)
        self.attention_norm, self.mlp_norm = (nn.RMSNorm(dim, eps=1e-5, elementwise_affine=False) for _ in range(2))
        self.table = nn.Parameter(torch.zeros(6, dim))

    def forward(self, x: Tensor, modulation: Tensor, tables: Tables, mask: Tensor) -> Tensor:
        steering = (self.table + modulation)[:, :, None].unbind(dim=1)  # six of (B, 1, H)
        (shift, scale, gate), (mlp_shift, mlp_scale, mlp_gate) = steering[:3], steering[3:]
        heard = self.attention(self.attention_norm(x) * (1 + scale) + shift, tables, mask)
        x = x + (1 + gate) * self.dropout(heard)
        return x + (1 + mlp_gate) * self.dropout(self.mlp(self.mlp_norm(x) * (1 + mlp_scale) + mlp_shift))


class MaskedTransformer(nn.Module):
    """(B, N, H) at places (B or 1, N) -> (B, N, H); see MaskedAttention for ``mask`` and ``state``."""

    def __init__(self, dim: int, layers: int, heads: int, dropout: float = 0.0):
        super().__init__()
        self.width = dim // heads
        self.blocks = nn.ModuleList(MaskedBlock(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        _start_small(self.blocks)

    def forward(self, x: Tensor, places: Tensor, mask: Tensor, state: State | None = None) -> Tensor:
        tables = _tables(places, self.width)
        for block in self.blocks:
            x = block(x, tables, mask, state)
        return self.norm(x)


class SteeredTransformer(nn.Module):
    """(B, N, H) at places (B, N), steered by c (B, H) -> (B, N, H)."""

    def __init__(self, dim: int, layers: int, heads: int, dropout: float = 0.0):
        super().__init__()
        self.width = dim // heads
        self.modulation = nn.Linear(dim, 6 * dim)
        self.blocks = nn.ModuleList(SteeredBlock(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        self.last = nn.Linear(dim, 2 * dim)
        for layer in (self.modulation, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        _start_small(self.blocks)

    def forward(self, x: Tensor, c: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        tables, modulation = _tables(places, self.width), self.modulation(c).unflatten(1, (6, -1))
        for block in self.blocks:
            x = block(x, modulation, tables, mask)
        shift, scale = self.last(c)[:, None].chunk(2, dim=-1)
        return self.norm(x) * (1 + scale) + shift


def _tables(places: Tensor, width: int) -> Tables:
    cos, sin = (table[:, None] for table in rotary(places, width))
    return cos, sin


def _start_small(blocks: nn.ModuleList) -> None:
    """A deep stack begins near the identity (as ``Transformer``)."""
    for block in blocks:
        for last in (block.attention.out, block.mlp.down):
            nn.init.normal_(last.weight, std=0.02 / (2 * len(blocks)) ** 0.5)
