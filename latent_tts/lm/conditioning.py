"""How a language model of frames sees its text and its reference."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBlock(nn.Module):
    """x + linear(gelu(conv(norm(x)))), looking both ways: (B, L, C) -> (B, L, C); hidden places stay zero."""

    def __init__(self, dim: int, kernel: int = 5, dropout: float = 0.0):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.conv = nn.Conv1d(dim, dim, kernel, padding=kernel // 2)
        self.leave = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        y = self.conv((self.norm(x) * visible).transpose(1, 2)).transpose(1, 2)
        return (x + self.dropout(self.leave(F.gelu(y)))) * visible


class ReferenceEncoder(nn.Module):
    """One vector for a voice: reference frames (B, N, D) of lengths (B,) -> (B, H), learnt for an empty one."""

    def __init__(self, frame_dim: int, dim: int, out: int, layers: int = 2, dropout: float = 0.0):
        super().__init__()
        self.enter = nn.Linear(frame_dim, dim)
        self.blocks = nn.ModuleList(ConvBlock(dim, 5, dropout) for _ in range(layers))
        self.leave = nn.Linear(2 * dim, out)
        self.nobody = nn.Parameter(torch.zeros(out))

    def forward(self, frames: Tensor, lens: Tensor) -> Tensor:
        frames = F.pad(frames, (0, 0, 0, 1))  # so that an empty reference has a frame to hide
        visible = (torch.arange(frames.shape[1], device=frames.device) < lens[:, None])[..., None]
        x = self.enter(frames) * visible
        for block in self.blocks:
            x = block(x, visible)
        count = lens.clamp(min=1)[:, None]
        mean = x.sum(dim=1) / count
        spread = (((x - mean[:, None]) * visible).square().sum(dim=1) / count + 1e-4).sqrt()
        return torch.where(lens[:, None] > 0, self.leave(torch.cat([mean, spread], dim=1)), self.nobody)


class AlignedText(nn.Module):
    """Text through a monotone pointer: each step sees the phones around the one being spoken.

    The pointer of a step is how many phones have begun before it. It never goes back, so a phone can be neither
    skipped nor repeated, and when it passes the last phone the utterance is over.

        phones      a b c d |        "|" the end, begins in the frame after the last
        frames      0 1 2 3 4
        begins in   0 . 1 . . 5      starts[a] = 0, starts[b] = 1 ...
        pointers    0 1 ...          pointers[t] = #{starts < t}
        advances    pointers[t + 1] - pointers[t], what the model draws in frame t
    """

    before = (
        -1,
        5,
    )  # phones seen when the advance is drawn, counted from the pointer: the last begun and the next five
    after = (-4, 2)  # phones seen when the frame is drawn, counted from the moved pointer

    def __init__(self, vocabulary: int, dim: int, out: int, layers: int = 3, dropout: float = 0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim)
        self.blocks = nn.ModuleList(ConvBlock(dim, 5, dropout) for _ in range(layers))
        self.edges = nn.Parameter(torch.randn(2, dim) * 0.02)  # before the first phone, after the last
        self.unknown = nn.Parameter(torch.zeros(out))  # in place of a window where there is no text
        self.look_before = nn.Linear((self.before[1] - self.before[0]) * dim, out)
        self.look_after = nn.Linear((self.after[1] - self.after[0]) * dim, out)

    def encode(self, text: Tensor, lens: Tensor) -> Tensor:
        """(B, L), (B,) -> states (B, L + 2, C): an edge, the phones, an edge for the end and all that follows."""
        visible = (torch.arange(text.shape[1], device=text.device) < lens[:, None])[..., None]
        x = self.embedding(text) * visible
        for block in self.blocks:
            x = block(x, visible)
        x = torch.where(visible, x, self.edges[1])
        first, last = (edge.expand(x.shape[0], 1, -1) for edge in self.edges)
        return torch.cat([first, x, last], dim=1)

    def window_before(self, states: Tensor, pointers: Tensor) -> Tensor:
        """States (B, L + 2, C), pointers (B, N) -> (B, N, H)."""
        return self.look_before(_gather(states, pointers, self.before))

    def window_after(self, states: Tensor, pointers: Tensor) -> Tensor:
        """The same around the pointers that the frames end with."""
        return self.look_after(_gather(states, pointers, self.after))


def _gather(states: Tensor, pointers: Tensor, span: tuple[int, int]) -> Tensor:
    """(B, L + 2, C), (B, N) -> (B, N, span * C): states of phones pointer + span[0] .. pointer + span[1] - 1."""
    offsets = torch.arange(*span, device=states.device) + 1  # state 0 stands before phone 0
    index = (pointers[..., None] + offsets).clamp(0, states.shape[1] - 1)
    rows = torch.arange(states.shape[0], device=states.device)[:, None, None]
    return states[rows, index].flatten(2)


def pointers_of(starts: Tensor, lens: Tensor, frame_lens: Tensor, count: int) -> Tensor:
    """Starts (B, L), their counts (B,), frame counts (B,) -> pointers (B, count): phones begun before each frame.

    The end counts as a phone that begins in frame ``frame_lens``.
    """
    steps = torch.arange(count, device=starts.device)
    known = torch.arange(starts.shape[1], device=starts.device) < lens[:, None]
    begun = (starts[:, None] < steps[:, None]) & known[:, None]
    return begun.sum(dim=2) + (frame_lens[:, None] < steps)
