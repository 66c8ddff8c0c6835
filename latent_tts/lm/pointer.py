"""The walk of the monotone pointer while frames are generated; in numpy, whatever computes the rest."""

from __future__ import annotations

import numpy as np

from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.draws import RowDraws


class PointerWalk:
    """Where each row of a batch is in its text: a Walk.

    ``step`` draws how many phones, up to ``max_advance``, begin in the next frame and moves on. It cannot go back, and
    no phone may last longer than ``longest`` frames, so a row of L phones ends within (L + 1) * longest frames. The end
    comes in a frame after the last phone's, so no row is empty.
    """

    longest = 16  # frames a phone or a pause may last

    def __init__(self, prompt: Utterances, max_advance: int, sampling: Sampling):
        self.sampling = sampling
        self.text_lens, self.read = np.asarray(prompt.text_lens), np.asarray(prompt.prompt_text_lens)
        self.places = self.read.copy()
        self.alive = np.ones(len(prompt), bool)
        self.waited = np.zeros_like(self.places)
        self.moves = np.arange(max_advance + 1)
        self.draws = RowDraws(sampling.seeds(len(prompt)))
        self.noise = self.draws.normal

    @property
    def spoken(self) -> np.ndarray:
        """(B,) phones of the utterance that have begun."""
        return self.places - self.read

    def step(self, logits: np.ndarray) -> np.ndarray:
        """Logits over advances (B, max_advance + 1) -> the advances drawn (B,)."""
        left = np.maximum(self.text_lens - self.places, 1)  # the end counts as a phone, and comes alone
        stay = (self.waited >= self.longest)[:, None] & (self.moves == 0)
        advances = self._draw(np.where((self.moves > left[:, None]) | stay, -np.inf, logits.astype(np.float64)))
        self.places = np.where(self.alive, np.minimum(self.places + advances, self.text_lens + 1), self.places)
        self.waited = np.where(advances > 0, 1, self.waited + 1)
        self.alive = self.alive & (self.places <= self.text_lens)
        return advances

    def _draw(self, logits: np.ndarray) -> np.ndarray:
        uniform, sampling = self.draws.uniform(), self.sampling
        if sampling.duration_temperature == 0 and sampling.speed == 1:
            return logits.argmax(axis=1)
        p = softmax(logits / max(sampling.duration_temperature, 0.05))
        if sampling.speed != 1:
            p = tilt(p, sampling.speed)
        return np.minimum((p.cumsum(axis=1) < uniform).sum(axis=1), len(self.moves) - 1)


def onsets_of(begun: np.ndarray, count: int) -> np.ndarray:
    """Phones begun by the end of each frame (N,) -> when each of ``count`` phones begins, in frames (count,).

    Phones that begin in one frame share it evenly, each in the middle of its part, where it is expected to begin; the
    first one begins with the sound.
    """
    phones = np.arange(count)
    frame = np.searchsorted(begun, phones, side="right")  # the first at whose end more have begun
    before = np.where(frame > 0, begun[np.maximum(frame - 1, 0)], 0)
    within = (phones - before + 0.5) / (begun[frame] - before)
    return np.where(phones == 0, 0, frame + within)


def softmax(logits: np.ndarray) -> np.ndarray:
    """(B, K), at least one of each row finite -> distributions (B, K)."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def tilt(p: np.ndarray, speed: float) -> np.ndarray:
    """Distributions over 0..K (B, K + 1) -> the nearest (in relative entropy) with ``speed`` times their mean.

    Those are p(k) exp(a k) / Z; a is found by bisection. Means are kept within what the support allows.
    """
    moves = np.arange(p.shape[1])
    possible = np.where(p > 0, moves, 0).max(axis=1)
    target = np.minimum((p * moves).sum(axis=1) * speed, possible * 0.99)
    low, high = np.full_like(target, -10), np.full_like(target, 10)
    for _ in range(30):
        middle = (low + high) / 2
        mean = (_tilted(p, middle, moves) * moves).sum(axis=1)
        low, high = np.where(mean < target, middle, low), np.where(mean < target, high, middle)
    return _tilted(p, (low + high) / 2, moves)


def _tilted(p: np.ndarray, a: np.ndarray, moves: np.ndarray) -> np.ndarray:
    weights = np.log(np.maximum(p, 1e-30)) + a[:, None] * moves
    return softmax(np.where(p == 0, -np.inf, weights))
