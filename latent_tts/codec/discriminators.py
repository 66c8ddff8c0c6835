"""Discriminators over periods (HiFi-GAN, Kong et al. 2020) and over complex spectra (EnCodec, DAC)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm


def _conv(in_channels: int, out_channels: int, kernel, stride, padding) -> nn.Module:
    return weight_norm(nn.Conv2d(in_channels, out_channels, kernel, stride, padding))


def _features(x: Tensor, layers: nn.ModuleList, score: nn.Module) -> list[Tensor]:
    """What each layer makes of a picture (B, C, H, W), and the map of scores last."""
    features = []
    for layer in layers:
        x = F.leaky_relu(layer(x), 0.1)
        features.append(x)
    return [*features, score(x)]


class PeriodDiscriminator(nn.Module):
    """Looks at every ``period``-th sample: (B, T) -> features of each layer."""

    def __init__(self, period: int, channels: int):
        super().__init__()
        self.period = period
        widths = (1, channels, 4 * channels, 8 * channels, 16 * channels)
        self.layers = nn.ModuleList(_conv(a, b, (5, 1), (3, 1), (2, 0)) for a, b in zip(widths, widths[1:]))
        self.score = _conv(widths[-1], 1, (3, 1), (1, 1), (1, 0))

    def forward(self, wav: Tensor) -> list[Tensor]:
        x = F.pad(wav, (0, -wav.shape[1] % self.period), mode="reflect")
        x = x.view(x.shape[0], 1, -1, self.period)
        return _features(x, self.layers, self.score)


class SpectrumDiscriminator(nn.Module):
    """Looks at a complex short-time spectrum as a two-channel picture: (B, T) -> features of each layer."""

    def __init__(self, n_fft: int, channels: int):
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        strides = ((1, 1), (1, 2), (1, 2), (1, 2))
        widths = (2, channels, channels, 2 * channels, 2 * channels)
        self.layers = nn.ModuleList(
            _conv(a, b, (3, 9), stride, (1, 4)) for a, b, stride in zip(widths, widths[1:], strides)
        )
        self.score = _conv(widths[-1], 1, (3, 3), (1, 1), (1, 1))

    def forward(self, wav: Tensor) -> list[Tensor]:
        spectrum = torch.stft(wav, self.n_fft, self.n_fft // 4, window=self.window, return_complex=True)
        x = torch.stack([spectrum.real, spectrum.imag], dim=1).transpose(2, 3) / self.n_fft**0.5
        return _features(x, self.layers, self.score)


class Discriminators(nn.ModuleList):
    """All of them: (B, T) -> one list of features for each, or for those that are ``asked`` alone, by their numbers."""

    def __init__(self, periods: Sequence[int], windows: Sequence[int], channels: int):
        super().__init__(
            [PeriodDiscriminator(p, channels) for p in periods] + [SpectrumDiscriminator(w, channels) for w in windows]
        )

    def forward(self, wav: Tensor, asked: Sequence[int] | None = None) -> list[list[Tensor]]:
        return [self[number](wav) for number in (range(len(self)) if asked is None else asked)]
