"""How different two sounds are to an ear: loudness in critical bands, after PESQ's model of hearing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVEL = 79.0  # dB SPL at which a target is heard, P.862's
WIDTH = 0.5  # of a band, in bark
QUIET = 0.02  # root mean square below which a crop counts as quiet speech, not as speech turned down


def bark(hertz: Tensor) -> Tensor:
    """Critical-band rate (Zwicker & Terhardt 1980)."""
    return 13 * torch.atan(0.76e-3 * hertz) + 3.5 * torch.atan((hertz / 7500) ** 2)


def hearing_threshold(hertz: Tensor) -> Tensor:
    """dB SPL of the softest tone that is heard in quiet (Terhardt 1979)."""
    kilohertz = hertz / 1000
    return 3.64 * kilohertz**-0.8 - 6.5 * torch.exp(-0.6 * (kilohertz - 3.3) ** 2) + 1e-3 * kilohertz**4


class LoudnessLoss(nn.Module):
    """The disturbance of PESQ (ITU-T P.862, 10.2) as a loss, as in PMSQE (Martín-Doñas et al. 2018).

    Both sounds (B, T) become loudness (Zwicker's law) in bands of half a bark every 16 ms. A difference counts by what
    exceeds a quarter of the softer one, which masks it, and again, for what the output has too much, by how many times
    that is too much. The worst of 20 frames weigh most. Neither the alignment nor the equalisation of P.862 are here:
    the codec keeps time, and is to keep the level and the spectrum.
    """

    def __init__(self, sample_rate: int, seconds: float = 0.032):
        super().__init__()
        self.n_fft = 1 << round(sample_rate * seconds - 1).bit_length()
        hertz = torch.linspace(0, sample_rate / 2, self.n_fft // 2 + 1)[1:]
        rate = bark(hertz)
        band = (rate / WIDTH).long()
        count = int(band[-1]) + 1
        bands = torch.zeros(count, len(hertz)).scatter_(0, band[None], 1.0)
        bands = bands[bands.sum(dim=1) > 0]  # the lowest may have no bin
        share = bands / bands.sum(dim=1, keepdim=True)
        centre = share @ rate
        quiet = share @ (10 ** (hearing_threshold(hertz) / 10)).clamp(max=1e8)
        lifted = (6 / (centre + 2)).clamp(1, 2) ** 0.15  # loudness grows faster below 4 bark
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("quiet", quiet, persistent=False)
        self.register_buffer("power", 0.23 * lifted, persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """What P.862 would take from a score of 4.5: 0.1 times the disturbance and 0.0309 times the asymmetric one."""
        with torch.autocast(output.device.type, enabled=False):
            level = target.float().square().mean(dim=1, keepdim=True).clamp(min=QUIET**2).rsqrt()
            made, wanted = self.densities(output.float() * level), self.densities(target.float() * level)
            a, b = self.loudness(made), self.loudness(wanted)
            apart = WIDTH * ((a - b).abs() - 0.25 * torch.minimum(a, b)).clamp(min=0)
            added = ((made + 50) / (wanted + 50)) ** 1.2
            added = torch.where(added < 3, 0.0, added.clamp(max=12))
            even = (apart.square().sum(dim=1) * WIDTH * len(self.quiet) + 1e-4).sqrt()
            uneven = (apart * added).sum(dim=1) + 1e-2
            weight = ((wanted.sum(dim=1) + 1e5) / 1e7) ** -0.04
            return 0.1 * self.over_time(even * weight) + 0.0309 * self.over_time(uneven * weight)

    def over_time(self, frames: Tensor) -> Tensor:
        """Disturbances (B, frames) -> a mean: of the sixth power over 20 at a time, then of squares."""
        pieces = frames.clamp(max=45).unfold(1, min(20, frames.shape[1]), 10)
        return pieces.pow(6).mean(dim=2).pow(1 / 6).square().mean(dim=1).sqrt().mean()

    def densities(self, wav: Tensor) -> Tensor:
        """(B, T), LEVEL at a root mean square of one -> power in bands (B, bands, frames), one at 0 dB SPL."""
        spectrum = torch.stft(wav, self.n_fft, self.n_fft // 2, window=self.window, return_complex=True)
        power = spectrum[:, 1:].real.square() + spectrum[:, 1:].imag.square()
        whole = self.window.square().sum() * self.n_fft / 2  # of noise at a root mean square of one
        return self.bands @ power * (10 ** (LEVEL / 10) / whole)

    def loudness(self, power: Tensor) -> Tensor:
        """Power in bands (B, bands, frames) -> loudness in sone per bark, to a factor (Zwicker & Feldtkeller 1967)."""
        quiet, exponent = self.quiet[:, None], self.power[:, None]
        return (2 * quiet) ** exponent * 0.1866 * ((0.5 + 0.5 * power / quiet) ** exponent - 1).clamp(min=0)
