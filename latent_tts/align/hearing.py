"""What an aligner hears of a recording, and where in it each phone of a known text begins: in numpy, whatever computes
the posteriors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from latent_tts.align.pauses import settle_pauses
from latent_tts.errors import UserError


@dataclass(frozen=True)
class Hearing:
    """An aligner, ready to listen."""

    posteriors: Callable[[np.ndarray], np.ndarray]  # (T,) float32 -> log posteriors (N, classes), class 0 CTC's blank
    classes: np.ndarray  # (V,) int64, the class of each symbol of the table
    separators: frozenset[int]  # ids of the symbols that are no phones
    sample_rate: int  # Hz
    frame_rate: float  # of posteriors, a second

    def align(self, wav: np.ndarray, ids: list[int]) -> tuple[np.ndarray, float]:
        """A recording (T,) and its phone ids -> seconds at which each phone begins (L,), mean log posterior a phone.

        UserError where the recording is too short for the text.
        """
        starts, score = viterbi(self.posteriors(wav), self.classes[ids])
        pauses = [i in self.separators for i in ids]
        return settle_pauses(wav, self.sample_rate, starts / self.frame_rate, pauses), score


def viterbi(posteriors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """The best CTC path of ``labels`` (L,) through log posteriors (N, classes), class 0 being the blank.

    -> the first frame of each label (L,) and the mean log posterior of the labels at their first frames. Equal to
    ``torchaudio.functional.forced_align``, which cannot be imported where only inference is installed.
    """
    count, states = len(posteriors), 2 * len(labels) + 1
    path_labels = np.zeros(states, dtype=np.int64)
    path_labels[1::2] = labels
    need = len(labels) + int((labels[1:] == labels[:-1]).sum())
    if count < need:
        raise UserError(f"the recording has {count} frames for {need} phones: it is too short for its text")
    skip = np.zeros(states, dtype=bool)
    skip[3::2] = labels[1:] != labels[:-1]
    score = np.full(states, -np.inf, dtype=np.float64)
    score[:2] = posteriors[0, path_labels[:2]]
    came = np.zeros((count, states), dtype=np.int8)
    for t in range(1, count):
        options = np.stack(
            [score, np.r_[-np.inf, score[:-1]], np.where(skip, np.r_[-np.inf, -np.inf, score[:-2]], -np.inf)]
        )
        came[t] = options.argmax(axis=0)
        score = options.max(axis=0) + posteriors[t, path_labels]
    state = states - 1 if score[-1] >= score[-2] else states - 2
    first = np.zeros(len(labels), dtype=np.int64)
    for t in range(count - 1, -1, -1):
        if state % 2:
            first[state // 2] = t
        state -= int(came[t, state])
    return first, float(posteriors[first, labels].mean())
