"""Clips: stretches of recordings between pauses, with their phones and where these begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latent_tts.text.symbols import WORD_SPACE


@dataclass(frozen=True)
class Clip:
    """``begin`` to ``end`` seconds of a recording, the phones spoken there and their onsets in its seconds.

    The first phone is the separator that stands before the first word, the last one the separator after the last word.
    """

    utt: str
    begin: float
    end: float
    phones: tuple[str, ...]
    onsets: tuple[float, ...]

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def cut_clips(
    utt: str,
    phones: list[str],
    onsets: np.ndarray,
    seconds: float,
    separators: tuple[str, ...],
    rng: np.random.Generator,
    shortest: float = 1.2,
    longest: float = 10.0,
    pause: float = 0.2,
    margin: float = 0.12,
) -> list[Clip]:
    """Cut a recording of ``seconds`` at pauses of at least ``pause`` s into clips of random lengths.

    Each clip keeps at most ``margin`` seconds of the silence around it. Where no pause comes in time a clip is longer
    than ``longest``; a rest shorter than ``shortest`` is dropped.
    """
    ends = np.append(onsets[1:], seconds)
    pauses = [
        i
        for i, p in enumerate(phones)
        if p in separators and (ends[i] - onsets[i] >= pause or i in (0, len(phones) - 1))
    ]
    clips, first = [], 0
    wanted = rng.uniform(shortest, longest)
    for here, last in enumerate(pauses):
        if last <= first:
            continue
        upcoming = ends[pauses[here + 1]] if here + 1 < len(pauses) else np.inf
        if onsets[last] - ends[first] < wanted and upcoming - ends[first] <= longest:
            continue
        clip = _clip(utt, phones, onsets, ends, first, last, margin)
        if clip.seconds >= shortest:
            clips.append(clip)
        first, wanted = last, rng.uniform(shortest, longest)
    return clips


def _clip(
    utt: str, phones: list[str], onsets: np.ndarray, ends: np.ndarray, first: int, last: int, margin: float
) -> Clip:
    begin = max(onsets[first], ends[first] - margin)
    end = min(ends[last], onsets[last] + margin)
    inside = (begin, *onsets[first + 1 : last + 1])
    return Clip(utt, float(begin), float(end), (WORD_SPACE, *phones[first + 1 : last + 1]), tuple(map(float, inside)))
