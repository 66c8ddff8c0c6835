"""Modules that become one node of ONNX Runtime's each when a network is exported, and how they replace torch's.

Each has a ``forward`` for torch's tracer, which needs its shapes, and a ``symbolic`` that writes the node.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.nn.attention import CausalAttention
from latent_tts.nn.conv import CausalConv1d
from latent_tts.nn.spectral import InverseFourier, LogMel
from latent_tts.nn.state import State, remember


def fused(module: nn.Module) -> nn.Module:
    """``module`` itself, made of what ONNX Runtime does best."""
    for name, child in module.named_children():
        if type(child) is CausalConv1d and child.past and _depthwise(child.conv):
            setattr(module, name, DepthwiseConv1d(child))
        elif type(child) in REPLACEMENTS:
            setattr(module, name, REPLACEMENTS[type(child)](child))
        else:
            fused(child)
    return module


def _depthwise(conv: nn.Conv1d) -> bool:
    return conv.groups == conv.in_channels == conv.out_channels


def _shaped(y: Any, x: Any, width: int) -> Any:
    """Tell the tracer that ``y`` is like ``x``, but for its last dimension."""
    sizes = x.type().varyingSizes()
    return y if sizes is None else y.setType(x.type().with_sizes([*sizes[:-1], width]))


class RMSNorm(nn.Module):
    """As torch's, one node."""

    def __init__(self, norm: nn.RMSNorm):
        super().__init__()
        self.eps = norm.eps
        weight = torch.ones(norm.normalized_shape) if norm.weight is None else norm.weight.detach()
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        return _SimplifiedLayerNormalization.apply(x, self.weight, self.eps)


class _SimplifiedLayerNormalization(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, eps)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, eps: float) -> Any:
        y = g.op("SimplifiedLayerNormalization", x, weight, axis_i=-1, epsilon_f=eps, stash_type_i=1)
        return y.setType(x.type())


class CachedAttention(nn.Module):
    """Causal attention that writes keys and values into buffers of fixed room, where they already lie.

    ``state`` holds its buffers, keys and values (B, heads, room, dim); in the place of padding come the last step's
    place (B,) int32 in each row, the longest row's length () int32, and the cosines and sines (room, dim / 2). Steps
    are turned by their places: there are no other ``positions``.
    """

    def __init__(self, attention: CausalAttention):
        super().__init__()
        self.heads, self.qkv, self.out = attention.heads, attention.qkv, attention.out
        self.width = attention.qkv.in_features // attention.heads
        fused(self)

    def forward(self, x: Tensor, state: State, places: tuple[Tensor, ...], positions: None = None) -> Tensor:
        y, keys, values = _GroupQueryAttention.apply(self.qkv(x), *state[self], *places, self.heads)
        remember(self, state, (keys, values))
        return self.out(y)


class _GroupQueryAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, keys: Tensor, values: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
        return qkv.chunk(3, dim=-1)[0].clone(), keys.clone(), values.clone()  # shapes are all that tracing asks for

    @staticmethod
    def symbolic(g: Any, qkv: Any, keys: Any, values: Any, *rest: Any) -> tuple[Any, Any, Any]:
        *places, heads = rest
        none = g.op("prim::Constant").setType(torch._C.OptionalType.ofTensor())
        inputs = (qkv, none, none, keys, values, *places)
        options = {"num_heads_i": heads, "kv_num_heads_i": heads, "do_rotary_i": 1, "rotary_interleaved_i": 0}
        y, new_keys, new_values = g.op("com.microsoft::GroupQueryAttention", *inputs, outputs=3, **options)
        width = keys.type().varyingSizes()[3]
        return _shaped(y, qkv, heads * width), new_keys.setType(keys.type()), new_values.setType(values.type())


class DepthwiseConv1d(nn.Module):
    """A causal convolution of every channel by itself, as a sum of shifted products: no transposing."""

    def __init__(self, convolution: CausalConv1d):
        super().__init__()
        self.past = convolution.past
        self.taps = convolution.conv.weight.detach()[:, 0].T.contiguous().unbind()  # of (kernel, C)
        self.bias = convolution.conv.bias

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        fresh = state is None or self not in state
        before = x.new_zeros(x.shape[0], self.past, x.shape[2]) if fresh else state[self]
        x = torch.cat([before, x], dim=1)
        remember(self, state, x[:, -self.past :])
        shifted = (x[:, i : i - self.past or None] for i in range(self.past + 1))
        return sum((part * tap for part, tap in zip(shifted, self.taps)), start=self.bias)


class InverseFourierMatrix(nn.Module):
    """The inverse Fourier transform and its window as one matrix, in real numbers."""

    def __init__(self, inverse: InverseFourier):
        super().__init__()
        bins = inverse.n_fft // 2 + 1
        unit = torch.eye(bins, dtype=torch.complex64)
        basis = torch.cat([torch.fft.irfft(unit * part, n=inverse.n_fft) for part in (1, 1j)])
        self.register_buffer("basis", basis * inverse.window)  # (n_fft + 2, n_fft)

    def forward(self, x: Tensor) -> Tensor:
        magnitude, phase = x.split(len(self.basis) // 2, dim=-1)
        magnitude = magnitude.clamp(max=5).exp()
        return torch.cat([magnitude * phase.cos(), magnitude * phase.sin()], dim=-1) @ self.basis


class MelConvolution(nn.Module):
    """Log-mel magnitudes of a whole signal: its windows and their Fourier transform as one convolution."""

    def __init__(self, mel: LogMel):
        super().__init__()
        frames, self.floor, self.hop = mel.frames, mel.floor, mel.frames.hop
        self.pad = (frames.width - frames.hop - frames.lookahead, frames.lookahead)
        spectrum = torch.fft.rfft(torch.eye(frames.width, dtype=torch.float64)).T  # (bins, width)
        kernels = torch.cat([spectrum.real, spectrum.imag]) * mel.window
        self.register_buffer("kernels", kernels.float()[:, None])
        self.register_buffer("filters", mel.filters)

    def forward(self, wav: Tensor, state: None = None) -> Tensor:
        parts = F.conv1d(F.pad(wav, self.pad)[:, None], self.kernels, stride=self.hop).square()
        real, imaginary = parts.split(self.kernels.shape[0] // 2, dim=1)
        magnitude = (real + imaginary).sqrt().transpose(1, 2)
        return (magnitude @ self.filters).clamp(min=self.floor).log()


REPLACEMENTS = {
    nn.RMSNorm: RMSNorm,
    CausalAttention: CachedAttention,
    InverseFourier: InverseFourierMatrix,
    LogMel: MelConvolution,
}
