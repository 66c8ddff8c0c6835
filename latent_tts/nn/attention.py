"""Causal self-attention with rotary positions and a key-value cache in the passed state."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.nn.state import State, remember


def rotary(positions: Tensor, dim: int, base: float = 10000.0) -> tuple[Tensor, Tensor]:
    """Cosine and sine tables (N, dim) for positions (N,) (RoPE, Su et al. 2021, in the half-split layout)."""
    rate = base ** (-torch.arange(0, dim, 2, device=positions.device, dtype=torch.float32) / dim)
    angle = (positions[:, None].float() * rate).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs (i, i + dim / 2) of x (B, heads, N, dim)."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-b, a], dim=-1) * sin


class CausalAttention(nn.Module):
    """(B, N, H) -> (B, N, H). In a stream, keys and values of the past are in the state.

    ``padding`` (B,) int64 is the number of leading steps of each row to hide, so that prompts of unequal length can
    share a batch, aligned at their ends. Rotary positions are relative: a shift of a row changes nothing.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, state: State | None = None, padding: Tensor | None = None) -> Tensor:
        batch, count, dim = x.shape
        q, k, v = self.qkv(x).view(batch, count, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        past = state[self][0].shape[2] if state is not None and self in state else 0
        cos, sin = rotary(torch.arange(past, past + count, device=x.device), dim // self.heads)
        cos, sin = cos.to(q.dtype), sin.to(q.dtype)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if past:
            k, v = torch.cat([state[self][0], k], dim=2), torch.cat([state[self][1], v], dim=2)
        remember(self, state, (k, v))
        mask = None if padding is None and (past == 0 or count == 1) else _mask(past, count, padding, x.device)
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None and count > 1)
        return self.out(y.transpose(1, 2).reshape(batch, count, dim))


def _mask(past: int, count: int, padding: Tensor | None, device: torch.device) -> Tensor:
    """(B or 1, 1, count, past + count) True where a query may look; a hidden step sees itself, so no row is empty."""
    queries = torch.arange(past, past + count, device=device)[:, None]
    keys = torch.arange(past + count, device=device)[None]
    causal = keys <= queries
    if padding is None:
        return causal[None, None]
    return (causal & (keys >= padding[:, None, None]) | (keys == queries))[:, None]
