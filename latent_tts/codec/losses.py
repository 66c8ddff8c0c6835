"""Reconstruction and adversarial losses of the codec, as in DAC (Kumar et al. 2023) and Vocos (Siuzdak 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.nn.spectral import mel_filterbank


class MultiScaleSpectralLoss(nn.Module):
    """Distances of two signals (B, T) at several window lengths: ``mel`` is the mean L1 of natural-log mel magnitudes,
    ``stft`` the mean L1 of complex spectra divided by the root of the window's length, which alone sees the phase."""

    def __init__(self, sample_rate: int, windows=(128, 256, 512, 1024, 2048), mels=(10, 20, 40, 80, 160)):
        super().__init__()
        self.windows = tuple(windows)
        for n_fft, n_mels in zip(windows, mels):
            self.register_buffer(f"filters_{n_fft}", mel_filterbank(sample_rate, n_fft, n_mels), persistent=False)
            self.register_buffer(f"window_{n_fft}", torch.hann_window(n_fft), persistent=False)

    def _spectrum(self, wav: Tensor, n_fft: int) -> Tensor:
        window = getattr(self, f"window_{n_fft}")
        return torch.stft(wav, n_fft, n_fft // 4, window=window, return_complex=True)

    def _log_mel(self, spectrum: Tensor, n_fft: int) -> Tensor:
        return (getattr(self, f"filters_{n_fft}") @ spectrum.abs().clamp(min=1e-7)).clamp(min=1e-5).log()

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        mel, stft = output.new_zeros(()), output.new_zeros(())
        with torch.autocast(output.device.type, enabled=False):
            for n_fft in self.windows:
                a, b = self._spectrum(output, n_fft), self._spectrum(target, n_fft)
                mel = mel + F.l1_loss(self._log_mel(a, n_fft), self._log_mel(b, n_fft))
                stft = stft + F.l1_loss(torch.view_as_real(a), torch.view_as_real(b)) / n_fft**0.5
        return {"mel": mel / len(self.windows), "stft": stft / len(self.windows)}


Judgement = list[list[Tensor]]  # per discriminator: features of its layers, the last one its score map


def discriminator_loss(real: Judgement, fake: Judgement) -> Tensor:
    """Hinge loss of the discriminators, averaged over them."""
    terms = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(real, fake)]
    return torch.stack(terms).mean()


def generator_loss(fake: Judgement) -> Tensor:
    """Hinge loss of the generator, averaged over discriminators."""
    return torch.stack([F.relu(1 - f[-1]).mean() for f in fake]).mean()


def feature_matching_loss(real: Judgement, fake: Judgement) -> Tensor:
    """Mean L1 distance of the discriminators' inner features, relative to the size of the real ones; 0 where there are
    scores alone."""
    pairs = [(a.detach(), b) for r, f in zip(real, fake) for a, b in zip(r[:-1], f[:-1])]
    terms = [F.l1_loss(b, a) / a.abs().mean().clamp(min=1e-3) for a, b in pairs]
    return torch.stack(terms).mean() if terms else fake[0][-1].new_zeros(())
