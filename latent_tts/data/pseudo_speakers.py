"""Pseudo-speakers: recordings played at another rate and then stretched, which makes another voice of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latent_tts import audio
from latent_tts.errors import UserError


@dataclass(frozen=True)
class PseudoSpeaker:
    """Resampled to sound ``factor`` times as fast, which moves pitch and formants by as much, and stretched to
    ``stretch`` times the length that is left, which moves neither."""

    factor: float = 1.0
    stretch: float = 1.0

    @classmethod
    def parse(cls, text: str) -> PseudoSpeaker:
        """FACTOR or FACTOR:STRETCH, each 0.5 to 2; UserError for anything else."""
        parts = text.split(":")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= 2 or not all(0.5 <= number <= 2 for number in numbers):
            raise UserError(f"{text!r} is no voice; give FACTOR or FACTOR:STRETCH, each 0.5 to 2, like 1.09:0.95")
        return cls(*numbers)

    def __str__(self) -> str:
        return f"{self.factor:g}" + (f":{self.stretch:g}" if self.stretch != 1 else "")

    @property
    def length(self) -> float:
        """What a second of the recording becomes, in seconds."""
        return self.stretch / self.factor

    def speak(self, wav: np.ndarray, rate: int) -> np.ndarray:
        """(T,) -> (about T * length,). What was at second t is at ``t * length``, to within 10 ms."""
        return stretched(audio.resample(wav, round(rate * self.factor), rate), self.stretch, rate)


def stretched(wav: np.ndarray, factor: float, rate: int, window: float = 0.04, search: float = 0.01) -> np.ndarray:
    """(T,) -> (round(T * factor),): ``factor`` times as long at the same pitch.

    WSOLA (Verhelst and Roelands, ICASSP 1993): windows of ``window`` seconds overlap by half. Each is taken within
    ``search`` seconds of where it belongs, from where it resembles best what followed the one before; so sound never
    moves by more than ``search`` from its time. The search spans a period of a voice of 50 Hz.
    """
    if factor == 1:
        return wav
    half, reach = round(window * rate / 2), round(search * rate)
    length = round(len(wav) * factor)
    count = -(-length // half)
    ahead = np.pad(wav, (half + reach, 3 * half + 2 * reach))  # position p of wav is p + half + reach here
    fade = np.sin(np.pi * (np.arange(2 * half) + 0.5) / (2 * half)) ** 2
    sound, place = np.zeros((count + 2) * half), reach
    for number in range(count + 1):  # window number is centred at number * half of the output
        if number:
            first = min(round(number * half / factor), len(wav))  # of the places to search
            place = first + _best(ahead[place + half :][: 2 * half], ahead[first:][: 2 * (half + reach)])
        sound[number * half :][: 2 * half] += fade * ahead[place:][: 2 * half]
    return sound[half:][:length].astype(np.float32)


def _best(wanted: np.ndarray, heard: np.ndarray) -> int:
    """Where in ``heard`` what resembles ``wanted`` most begins, by the cosine between them."""
    energy = np.cumsum(np.r_[0, np.square(heard, dtype=np.float64)])
    energy = energy[len(wanted) :] - energy[: -len(wanted)]
    return int(np.argmax(np.correlate(heard, wanted) / np.sqrt(energy + 1e-8)))
