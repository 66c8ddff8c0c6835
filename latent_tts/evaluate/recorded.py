"""Recorded speech to hold spoken trials against: as long, of the same speaker, and no part of the reference.

Resemblyzer and DNSMOS hang on how long a sound lasts, so what whole recordings score is no ceiling for sentences of
three seconds. A stretch of the recording that a reference was cut from, as long as the sentence, is one.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import correlate

from latent_tts import audio

NOT_THE_SAME = 0.05  # rms of the difference, of that of the reference, from which on it is not from the recording


def rest_of(recording: np.ndarray, reference: np.ndarray) -> np.ndarray | None:
    """What the recording (T,) holds beside the reference (N,) that was cut from it: the longer of what is before and
    what is behind. None where the reference is not in it."""
    if not 0 < len(reference) <= len(recording):
        return None
    place = int(np.argmax(correlate(recording, reference, mode="valid", method="fft")))
    apart = recording[place:][: len(reference)] - reference
    if np.square(apart).mean() > NOT_THE_SAME**2 * np.square(reference).mean():
        return None
    return max(recording[:place], recording[place + len(reference) :], key=len)


def quiet_edged(wav: np.ndarray, rate: int, count: int) -> np.ndarray | None:
    """The ``count`` samples of ``wav`` (T,) whose first and last 20 ms are the quietest, so that hardly a word is cut;
    None where it is not as long."""
    levels, hop = audio.frame_levels(wav, rate), round(0.02 * rate)
    steps = count // hop
    if not 0 < count <= len(wav) or not 0 < steps <= len(levels):
        return None
    edges = levels[: len(levels) - steps + 1] + levels[steps - 1 :]
    begin = min(int(np.argmin(edges)) * hop, len(wav) - count)
    return wav[begin:][:count]
