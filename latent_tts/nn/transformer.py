"""Pre-norm Transformers: RMSNorm, rotary attention, SwiGLU, no biases (the LLaMA block that LatentLM uses)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.nn.attention import CausalAttention
from latent_tts.nn.state import State


class SwiGLU(nn.Module):
    """(..., H) -> (..., H): down(silu(gate(x)) * up(x)) (Shazeer 2020); the inner width is a multiple of 64."""

    def __init__(self, dim: int, expansion: float = 8 / 3):
        super().__init__()
        self.inner = int(dim * expansion / 64 + 0.999) * 64
        self.gate_up = nn.Linear(dim, 2 * self.inner, bias=False)
        self.down = nn.Linear(self.inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).split(self.inner, dim=-1)
        return self.down(F.silu(gate) * up)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); see CausalAttention for what else it is given."""

    def __init__(self, dim: int, heads: int, dropout: float):
        super().__init__()
        self.attention_norm = nn.RMSNorm(dim, eps=1e-5)
        self.attention = CausalAttention(dim, heads)
        self.mlp_norm = nn.RMSNorm(dim, eps=1e-5)
        self.mlp = SwiGLU(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, state: State | None = None, padding: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), state, padding, positions))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class Transformer(nn.Module):
    """(B, N, H) -> (B, N, H), step t seeing steps up to t; see CausalAttention for what else it is given."""

    def __init__(self, dim: int, layers: int, heads: int, dropout: float = 0.0):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(layers))
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        for block in self.blocks:
            for last in (block.attention.out, block.mlp.down):
                nn.init.normal_(last.weight, std=0.02 / (2 * layers) ** 0.5)

    def forward(
        self, x: Tensor, state: State | None = None, padding: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        for block in self.blocks:
            x = block(x, state, padding, positions)
        return self.norm(x)
