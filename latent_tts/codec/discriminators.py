"""Discriminators over periods (HiFi-GAN, Kong et al. 2020), over complex spectra (EnCodec, DAC) and over magnitudes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from latent_tts.errors import UserError
from latent_tts.nn.spectral import Decimate


def _conv(in_channels: int, out_channels: int, kernel, stride, padding) -> nn.Module:
    return weight_norm(nn.Conv2d(in_channels, out_channels, kernel, stride, padding))


def _features(x: Tensor, layers: nn.ModuleList, score: nn.Module) -> list[Tensor]:
    """What each layer makes of a picture (B, C, H, W), and the map of scores last."""
    features = []
    for layer in layers:
        x = F.leaky_relu(layer(x), 0.1)
        features.append(x)
    return [*features, score(x)]


def _levelled(wav: Tensor) -> Tensor:
    """(B, T) with a deviation of about one, so that a young discriminator's first layers have something to go by."""
    return wav / (wav.std(dim=1, keepdim=True) + 1e-3)


class PeriodDiscriminator(nn.Module):
    """Looks at every ``period``-th sample: (B, T) -> features of each layer."""

    def __init__(self, period: int, channels: int):
        super().__init__()
        self.period = period
        widths = (1, channels, 4 * channels, 8 * channels, 16 * channels)
        self.layers = nn.ModuleList(_conv(a, b, (5, 1), (3, 1), (2, 0)) for a, b in zip(widths, widths[1:]))
        self.score = _conv(widths[-1], 1, (3, 1), (1, 1), (1, 0))

    def forward(self, wav: Tensor) -> list[Tensor]:
        x = F.pad(_levelled(wav), (0, -wav.shape[1] % self.period), mode="reflect")
        x = x.view(x.shape[0], 1, -1, self.period)
        return _features(x, self.layers, self.score)


class SpectrumDiscriminator(nn.Module):
    """Looks at a complex short-time spectrum as a picture of two channels: (B, T) -> features of each layer."""

    planes = 2  # of the picture

    def __init__(self, n_fft: int, channels: int):
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        strides = ((1, 1), (1, 2), (1, 2), (1, 2))
        widths = (self.planes, channels, channels, 2 * channels, 2 * channels)
        self.layers = nn.ModuleList(
            _conv(a, b, (3, 9), stride, (1, 4)) for a, b, stride in zip(widths, widths[1:], strides)
        )
        self.score = _conv(widths[-1], 1, (3, 3), (1, 1), (1, 1))

    def forward(self, wav: Tensor) -> list[Tensor]:
        return _features(self.picture(wav), self.layers, self.score)

    def picture(self, wav: Tensor) -> Tensor:
        """(B, T) -> (B, 2, frames, bins)."""
        spectrum = self._spectrum(_levelled(wav))
        return torch.stack([spectrum.real, spectrum.imag], dim=1)

    def _spectrum(self, wav: Tensor) -> Tensor:
        spectrum = torch.stft(wav, self.n_fft, self.n_fft // 4, window=self.window, return_complex=True)
        return spectrum.transpose(1, 2) / self.n_fft**0.5


class MagnitudeDiscriminator(SpectrumDiscriminator):
    """Looks at a spectrum's magnitudes, to the power of 0.3 as an ear takes them. It hears no phase, so a codec whose
    phases are its own can match what it makes of the original."""

    planes = 1

    def picture(self, wav: Tensor) -> Tensor:
        """(B, T) -> (B, 1, frames, bins)."""
        return (self._spectrum(wav).abs()[:, None] + 1e-3) ** 0.3


class ScoreAlone(nn.Module):
    """What ``judge`` thinks and not why: its features take no part in feature matching."""

    def __init__(self, judge: nn.Module):
        super().__init__()
        self.judge = judge

    def forward(self, wav: Tensor) -> list[Tensor]:
        return self.judge(wav)[-1:]


class LowBand(nn.Module):
    """Lets ``judge`` hear a sound at a rate ``factor`` times lower, and so nothing of what lies above half of it."""

    def __init__(self, judge: nn.Module, factor: int):
        super().__init__()
        self.judge, self.decimate = judge, Decimate(factor)

    def forward(self, wav: Tensor) -> list[Tensor]:
        return self.judge(self.decimate(wav))


@dataclass(frozen=True)
class LowBandConfig:
    """Discriminators of the sound at ``rate``, which cost as much less as it has fewer samples. Voices' harmonics lie
    there. The codec's phases are not the original's, so of those that hear phases the scores count alone."""

    rate: int = 4000  # Hz, a whole number of times in the sound's
    magnitudes: tuple[int, ...] = (128, 256)  # windows of MagnitudeDiscriminators, samples at ``rate``
    windows: tuple[int, ...] = (128, 256, 512)  # of SpectrumDiscriminators

    def build(self, sample_rate: int, channels: int) -> list[nn.Module]:
        """New ones, for sound at ``sample_rate``. UserError for a rate that does not divide that."""
        if not 0 < self.rate < sample_rate or sample_rate % self.rate:
            raise UserError(f"low_band: a rate of {self.rate} Hz for sound at {sample_rate}; give one that divides it")
        judges = [MagnitudeDiscriminator(w, channels) for w in self.magnitudes]
        judges += [ScoreAlone(SpectrumDiscriminator(w, channels)) for w in self.windows]
        return [LowBand(judge, sample_rate // self.rate) for judge in judges]


class Discriminators(nn.ModuleList):
    """All of them: (B, T) -> one list of features for each, or for those that are ``asked`` alone, by their numbers."""

    def forward(self, wav: Tensor, asked: Sequence[int] | None = None) -> list[list[Tensor]]:
        return [self[number](wav) for number in (range(len(self)) if asked is None else asked)]
