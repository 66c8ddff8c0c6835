"""Causal self-attention with rotary positions and a key-value cache in the passed state."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.nn.state import State, remember


def rotary(positions: Tensor, dim: int, base: float = 10000.0) -> tuple[Tensor, Tensor]:
    """Cosine and sine tables (..., N, dim) for positions (..., N) (RoPE, Su et al. 2021, in the half-split layout)."""
    rate = base ** (-torch.arange(0, dim, 2, device=positions.device, dtype=torch.float32) / dim)
    angle = positions[..., None].float() * rate
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs (i, i + dim / 2) of x (B, heads, N, dim)."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-b, a], dim=-1) * sin


@functools.lru_cache(maxsize=8)
def _tables(count: int, dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """``rotary`` of the first positions, made once for all layers and streams; plain tensors also in inference mode."""
    with torch.inference_mode(False):
        return rotary(torch.arange(count, device=device), dim)


class Past:
    """Keys and values (B, heads, N, dim) of a stream so far. Their buffers grow by doubling, so a step costs what it
    adds and not what it has seen."""

    def __init__(self, keys: Tensor, values: Tensor):
        self.keys, self.values, self.count = keys, values, keys.shape[2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values with these behind them."""
        first, self.count = self.count, self.count + keys.shape[2]
        if self.count > self.keys.shape[2]:
            self.keys, self.values = (_roomier(x, first, 2 * self.count) for x in (self.keys, self.values))
        self.keys[:, :, first : self.count], self.values[:, :, first : self.count] = keys, values
        return self.keys[:, :, : self.count], self.values[:, :, : self.count]

    def clone(self) -> Past:
        return Past(*(x[:, :, : self.count].clone() for x in (self.keys, self.values)))


def _roomier(x: Tensor, count: int, room: int) -> Tensor:
    """The first ``count`` steps of x (B, heads, N, dim) in a buffer for ``room`` steps."""
    buffer = x.new_empty(*x.shape[:2], room, x.shape[3])
    buffer[:, :, :count] = x[:, :, :count]
    return buffer


class CausalAttention(nn.Module):
    """(B, N, H) -> (B, N, H). In a stream, keys and values of the past are in the state.

    ``padding`` (B,) int64 is the number of leading steps of each row to hide, so that prompts of unequal length can
    share a batch, aligned at their ends. Rotary positions are relative: a shift of a row changes nothing.
    ``positions`` (B, N) are those of the steps where they are not their places in the row.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(
        self, x: Tensor, state: State | None = None, padding: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        batch, count, dim = x.shape
        past = state[self].count if state is not None and self in state else 0
        q, k, v = _turned(self.qkv(x), self.heads, past, positions)
        if past:
            k, v = state[self].append(k, v)
        else:
            remember(self, state, Past(k, v))
        mask = None if padding is None and (past == 0 or count == 1) else _mask(past, count, padding, x.device)
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None and count > 1)
        return self.out(y.transpose(1, 2).reshape(batch, count, dim))


def _turned(
    qkv: Tensor, heads: int, past: int = 0, positions: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Projections (B, N, 3 H) of the steps behind ``past`` others -> queries and keys, turned by their places or
    ``positions`` (B, N), and values, each (B, heads, N, H / heads)."""
    batch, count, dim = qkv.shape
    width = dim // (3 * heads)
    qkv = qkv.view(batch, count, 3, heads, width).permute(2, 0, 3, 1, 4)
    if positions is None:
        room = 1 << (past + count - 1).bit_length()
        cos, sin = (t[past : past + count].to(qkv.dtype) for t in _tables(room, width, qkv.device))
    else:
        cos, sin = (t[:, None].to(qkv.dtype) for t in rotary(positions, width))
    (q, k), v = rotate(qkv[:2], cos, sin), qkv[2]
    return q, k, v


def _mask(past: int, count: int, padding: Tensor | None, device: torch.device) -> Tensor:
    """(B or 1, 1, count, past + count) True where a query may look; a hidden step sees itself, so no row is empty."""
    queries = torch.arange(past, past + count, device=device)[:, None]
    keys = torch.arange(past + count, device=device)[None]
    causal = keys <= queries
    if padding is None:
        return causal[None, None]
    return (causal & (keys >= padding[:, None, None]) | (keys == queries))[:, None]
