"""Causal convolution and the ConvNeXt block, in (B, N, C) layout, streaming by passed state."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.nn.state import State, remember


class CausalConv1d(nn.Module):
    """Convolution over time that sees the present and ``kernel - 1`` steps of the past (zeros before the start).

    (B, N, C_in) -> (B, N, C_out), stride 1.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, groups: int = 1):
        super().__init__()
        self.past = kernel - 1
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, groups=groups)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        x = x.transpose(1, 2)
        if state is None or self not in state:
            x = F.pad(x, (self.past, 0))
        else:
            x = torch.cat([state[self], x], dim=2)
        remember(self, state, x[..., x.shape[2] - self.past :])
        return self.conv(x).transpose(1, 2)


class CausalConvTranspose1d(nn.Module):
    """Raises the rate ``stride`` times; an output sample sees the step it lies in and the one before (zeros before the
    start).

    (B, N, C_in) -> (B, N * stride, C_out), kernel ``2 * stride``.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv = nn.ConvTranspose1d(in_channels, out_channels, 2 * stride, stride)

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        before = x.new_zeros(len(x), 1, x.shape[2]) if state is None or self not in state else state[self]
        remember(self, state, x[:, -1:])
        y = self.conv(torch.cat([before, x], dim=1).transpose(1, 2))
        return y[..., self.stride : -self.stride].transpose(1, 2)


class ConvNeXtBlock(nn.Module):
    """x + gamma * MLP(LayerNorm(depthwise(x))), causal (Liu et al. 2022; one-dimensional as in Vocos, Siuzdak 2023)."""

    def __init__(self, dim: int, expansion: int = 3, kernel: int = 7, scale: float = 0.1):
        super().__init__()
        self.depthwise = CausalConv1d(dim, dim, kernel, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, expansion * dim)
        self.contract = nn.Linear(expansion * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        y = self.norm(self.depthwise(x, state))
        return x + self.gamma * self.contract(F.gelu(self.expand(y), approximate="tanh"))


class Stack(nn.ModuleList):
    """Stateful modules one after another."""

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        for module in self:
            x = module(x, state)
        return x
