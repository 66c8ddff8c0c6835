"""How well a sound can be understood beside another: short-time correlations of band envelopes, after STOI."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BANDS = 15  # of a third of an octave
LOWEST = 150.0  # Hz, the centre of the first
SEGMENT = 30  # frames that are correlated at a time, 384 ms
CLIP = 15.0  # dB below which a band's signal to distortion does not count as worse
SILENT = 40.0  # dB below a sound's loudest frame, from where on a frame counts as silent


class IntelligibilityLoss(nn.Module):
    """One less the short-time objective intelligibility of an output (Taal et al. 2011), as a loss (Fu et al. 2018).

    Both sounds (B, T) become amplitudes in bands of a third of an octave, of 25.6 ms every 12.8 ms, without the frames
    in which the target is silent. In each segment the output's are brought to the target's level, what exceeds them by
    far is clipped, and the two are correlated; the loss is a mean over the segments of all rows, 0 if there is none.
    Other than in the measure's definition the sound is not brought to 10 kHz, and silence is cut out of the spectrum.
    A sound of fewer than ``shortest`` samples has no segment.
    """

    def __init__(self, sample_rate: int):
        super().__init__()
        self.width = round(0.0256 * sample_rate)
        self.n_fft = 1 << (2 * self.width - 1).bit_length()
        hertz = torch.linspace(0, sample_rate / 2, self.n_fft // 2 + 1)
        self.shortest = (SEGMENT - 1) * (self.width // 2) + self.n_fft
        centre = LOWEST * 2 ** (torch.arange(BANDS) / 3)
        first, last = ((hertz - centre[:, None] * 2**half).abs().argmin(dim=1) for half in (-1 / 6, 1 / 6))
        bins = torch.arange(len(hertz))
        self.register_buffer("window", torch.hann_window(self.width), persistent=False)
        self.register_buffer("bands", ((bins >= first[:, None]) & (bins < last[:, None])).float(), persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        with torch.autocast(output.device.type, enabled=False):
            powers = torch.stack([self.power(target.float()), self.power(output.float())], dim=1)
            amplitudes = (self.bands @ powers + 1e-10).sqrt()
            pieces = [pair[..., heard] for pair, heard in zip(amplitudes, audible(powers[:, 0]))]
            pieces = [piece.unfold(2, SEGMENT, 1) for piece in pieces if piece.shape[2] >= SEGMENT]
            if not pieces:
                return output.sum() * 0
            wanted, made = torch.cat(pieces, dim=2)  # each (bands, segments, SEGMENT)
            level = wanted.norm(dim=2, keepdim=True) / made.norm(dim=2, keepdim=True)
            made = torch.minimum(level * made, wanted * (1 + 10 ** (CLIP / 20)))
            return 1 - torch.cosine_similarity(centred(made), centred(wanted), dim=2).mean()

    def power(self, wav: Tensor) -> Tensor:
        """(B, T) -> (B, bins, frames)."""
        spectrum = torch.stft(
            wav, self.n_fft, self.width // 2, self.width, self.window, center=False, return_complex=True
        )
        return spectrum.real.square() + spectrum.imag.square()


def audible(power: Tensor) -> Tensor:
    """(B, bins, frames) -> which frames are not silent (B, frames), by Parseval's theorem."""
    energy = 2 * power.sum(dim=1) - power[:, 0] - power[:, -1]
    return energy > energy.amax(dim=1, keepdim=True) * 10 ** (-SILENT / 10)


def centred(segments: Tensor) -> Tensor:
    return segments - segments.mean(dim=2, keepdim=True)
