"""How well a sound fits the phones it should hold: a check of speech that needs no recogniser."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latent_tts.align.hearing import Hearing, viterbi
from latent_tts.errors import UserError

UNHEARD = -3.0  # log posterior under which a phone counts as missed


@dataclass(frozen=True)
class Fit:
    """What an aligner hears of a sentence's phones, along its best path through all of them."""

    clarity: float  # mean over the phones of their highest posterior before the next begins, 0 to 1
    missed: float  # share of the phones that are not heard, 0 to 1
    words: tuple[float, ...]  # the same of each word's phones
    before: int  # other phones, heard before the first


def fit(hearing: Hearing, wav: np.ndarray, ids: list[int]) -> Fit:
    """A sentence (T,) at the rate of ``hearing`` and its phones, a separator at either end -> how well the two agree.

    The measure is that of goodness of pronunciation (Witt and Young 2000) with posteriors of CTC. A sound too short for
    its phones fits in nothing.
    """
    posteriors, labels = hearing.posteriors(wav), hearing.classes[ids]
    pauses = np.isin(ids, list(hearing.separators))
    words = np.split(np.arange(len(ids)), np.flatnonzero(pauses)[1:])[:-1]
    try:
        first, _ = viterbi(posteriors, labels)
    except UserError:
        return Fit(0.0, 1.0, (0.0,) * len(words), 0)
    ends = np.maximum(np.append(first[1:], len(posteriors)), first + 1)
    found = np.array([posteriors[a:b, label].max() for a, b, label in zip(first, ends, labels)])
    spoken = np.flatnonzero(~pauses)
    return Fit(
        clarity=float(np.exp(found[spoken]).mean()),
        missed=float((found[spoken] < UNHEARD).mean()),
        words=tuple(float(np.exp(found[word[1:]]).mean()) for word in words),
        before=_strangers(posteriors[: first[spoken[0]]], {0, *labels[pauses].tolist()}),
    )


def _strangers(posteriors: np.ndarray, silent: set[int]) -> int:
    """How many phones, classes but those that are ``silent``, are heard in log posteriors (N, classes)."""
    best = posteriors.argmax(axis=1)
    return sum(int(best[frame]) not in silent for frame in np.flatnonzero(np.diff(best, prepend=-1)))
