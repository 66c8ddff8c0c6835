"""Where pauses begin and end, by the level of the sound.

A CTC network may say "word space" anywhere in a silence, and says it late: the level knows better.
"""

from __future__ import annotations

import numpy as np

from latent_tts import audio

LEVEL_SECONDS = 0.02  # of one value of audio.frame_levels
SHORTEST = 3  # level values that make a pause
REACH = 6  # level values past the next phone's onset that a pause may extend to


def settle_pauses(wav: np.ndarray, rate: int, onsets: np.ndarray, separators: list[bool]) -> np.ndarray:
    """Onsets (L,) in seconds with those of separators moved to where the sound falls silent, and those of the phones
    behind them to where it comes back. The order of onsets is kept.
    """
    quiet = quiet_places(audio.frame_levels(wav, rate))
    at = np.round(onsets / LEVEL_SECONDS).astype(int)
    last = len(at) - 1
    for i in np.flatnonzero(separators):
        begin = at[i - 1] + 1 if i else 0
        if i == last:
            end = len(quiet)
        else:
            end = min(at[i + 1] + REACH, at[i + 2] if i + 2 <= last else len(quiet))
        first, length = _longest_run(quiet[begin:end])
        if length >= SHORTEST:
            at[i] = begin + first
            if i < last:
                at[i + 1] = begin + first + length
    at[0] = 0
    return np.maximum.accumulate(at) * LEVEL_SECONDS


def quiet_places(levels: np.ndarray) -> np.ndarray:
    """Levels in dBFS -> bool: 30 dB under the loud parts, or near the noise floor where that is higher."""
    floor, loud = np.percentile(levels, [5, 95])
    return levels < min(loud - 18, max(loud - 30, floor + 6))


def _longest_run(values: np.ndarray) -> tuple[int, int]:
    """First index and length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.r_[0, values.astype(np.int8), 0]))
    if not edges.size:
        return 0, 0
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    best = int(lengths.argmax())
    return int(starts[best]), int(lengths[best])
