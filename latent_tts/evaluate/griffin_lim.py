"""An anchor for a codec's figures: a plain mel spectrum that spends as much, and Griffin-Lim back to sound.

It learns nothing, so what it scores says how much of a figure any way of spending those numbers would get.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MEL_RATE = 40  # mel frames a second that ``at_rate`` aims at
OVERLAP = 4  # hops in a window
ROUNDS = 32


@dataclass(frozen=True)
class MelGriffinLim:
    """``bands`` mel magnitudes every ``hop`` samples and back, at ``sample_rate`` Hz: (T,) -> (T,) float32.

    The magnitudes of Hann windows four hops long, summed by Slaney's mel filters, are what is kept; whether they are
    kept as logarithms changes nothing for floats. The way back is librosa's: magnitudes of the spectrum by non-negative
    least squares, then phases by 32 rounds of the fast Griffin-Lim algorithm (Griffin & Lim, "Signal estimation from
    modified short-time Fourier transform", 1984; Perraudin, Balazs & Sondergaard, "A fast Griffin-Lim algorithm",
    2013) from random ones. The same ``seed`` gives the same sound.
    """

    sample_rate: int
    bands: int
    hop: int

    @classmethod
    def at_rate(cls, sample_rate: int, numbers: float) -> MelGriffinLim:
        """The one that spends ``numbers`` a second: bands for about 40 mel frames a second, then the hop that makes
        bands times rate come out (to the rounding of a hop to samples).

        64 numbers 12.5 times a second become 20 bands 40 times. More bands, more seldom, smear what happens in time;
        fewer, more often, lose the timbre. Between them the mel distance is least: tests/evaluate/test_griffin_lim.py
        tries it at 800 numbers a second.
        """
        bands = max(1, round(numbers / MEL_RATE))
        return cls(sample_rate, bands, round(sample_rate * bands / numbers))

    @property
    def numbers(self) -> float:
        """How many a second it spends."""
        return self.bands * self.sample_rate / self.hop

    def __call__(self, wav: np.ndarray, seed: int = 0) -> np.ndarray:
        import librosa

        sizes = {"n_fft": OVERLAP * self.hop, "hop_length": self.hop}
        mel = librosa.feature.melspectrogram(y=wav, sr=self.sample_rate, n_mels=self.bands, power=1.0, **sizes)
        spectrum = librosa.feature.inverse.mel_to_stft(mel, sr=self.sample_rate, n_fft=sizes["n_fft"], power=1.0)
        sound = librosa.griffinlim(spectrum, n_iter=ROUNDS, length=len(wav), random_state=seed, **sizes)
        return sound.astype(np.float32)
