"""Whose voice a sound has: Resemblyzer's encoder, also so that a gradient can follow."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.errors import UserError
from latent_tts.nn.spectral import mel_filterbank

if TYPE_CHECKING:
    from resemblyzer import VoiceEncoder

INSTALL = "pip install webrtcvad-wheels librosa && pip install --no-deps resemblyzer"
RATE, LEVEL = 16000, 10 ** (-30 / 20)  # Hz, and the root mean square that softer sounds are raised to
PER_SECOND, COVERED = 1.3, 0.75  # windows a second, and how much of the last one has to be there


def load_encoder() -> VoiceEncoder:
    """The encoder whose weights come inside the resemblyzer package, on the CPU.

    Resemblyzer asks pip for ``webrtcvad``, which needs a compiler and, to run, the ``pkg_resources`` of an
    old setuptools. ``webrtcvad-wheels`` is the same module without both; that is why INSTALL leaves
    resemblyzer's own requirements out.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from resemblyzer import VoiceEncoder
    except ImportError as error:
        raise UserError(f"speaker similarity needs resemblyzer ({error}): {INSTALL}") from error
    return VoiceEncoder("cpu", verbose=False)


class SpeakerEmbedding(nn.Module):
    """Resemblyzer's encoder (GE2E, Wan et al. 2018) as ``embed_utterance`` uses it, but that pauses are not cut out and
    that gradients reach the sound. Its weights do not learn."""

    def __init__(self, sample_rate: int):
        super().__init__()
        if sample_rate != RATE:
            raise UserError(f"speakers are told by sound at {RATE} Hz, not {sample_rate}; take a codec of that rate")
        self.encoder = load_encoder().requires_grad_(False)
        self.register_buffer("window", torch.hann_window(400), persistent=False)
        self.register_buffer("filters", mel_filterbank(RATE, 400, 40), persistent=False)

    def forward(self, wavs: Tensor, counts: list[int]) -> Tensor:
        """Sounds (B, T) of as many samples each -> (B, 256) of unit length."""
        with torch.autocast(wavs.device.type, enabled=False):
            windows = [self._windows(wav[:count]) for wav, count in zip(wavs.float(), counts)]
            each = self.encoder(torch.cat(windows)).split([len(some) for some in windows])
            return F.normalize(torch.stack([some.mean(dim=0) for some in each]), dim=1)

    def _windows(self, wav: Tensor) -> Tensor:
        """(T,) -> mel powers (n, 160, 40) of windows of 1.6 s."""
        spans = self.encoder.compute_partial_slices(len(wav), PER_SECOND, COVERED)[1]
        wav = wav * (LEVEL / wav.detach().square().mean().sqrt().clamp(min=1e-6)).clamp(min=1)
        wav = F.pad(wav, (0, max(0, spans[-1].stop * 160 - len(wav))))
        spectrum = torch.stft(wav, 400, 160, window=self.window, pad_mode="constant", return_complex=True)
        mel = (self.filters @ (spectrum.real.square() + spectrum.imag.square())).T
        return torch.stack([mel[span] for span in spans])
