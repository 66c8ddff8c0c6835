"""A cloned voice kept near its reference while it speaks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latent_tts.frames import Chunk

PRIOR = 4  # frames that the reference's own statistics count for: until so many are made they are hardly moved


class Likeness:
    """Frames (n, D) of an utterance as they are made -> the same with the reference's mean and deviation a channel.

    A language model feeds on its own frames, and step by step the voice drifts from the one it was given to those it
    has learnt from. What a channel's mean and deviation have become shows it, and shifting and scaling them back to
    those of the ``reference`` (N, D) takes a part of it back: adaptive instance normalisation (Huang & Belongie 2017,
    for style). The statistics are those of the frames up to each one, so it neither waits nor looks ahead, and it
    makes no difference how frames come in chunks. ``strength`` is how much of the way they are moved: 0 none, 1 all.
    Half of it buys most of the likeness, all of it costs naturalness (egs/nano/RESULTS.md). Where a decoder makes much
    of directions in which frames hardly move, channels moved apart spoil the sound (``codec.rebase.level``).
    """

    def __init__(self, reference: np.ndarray, strength: float):
        reference = reference.astype(np.float64)
        self.mean, self.deviation, self.strength = reference.mean(axis=0), reference.std(axis=0), strength
        self.count = float(PRIOR)
        self.total, self.squares = PRIOR * self.mean, PRIOR * (self.deviation**2 + self.mean**2)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        x = frames.astype(np.float64)
        counts = self.count + np.arange(1, len(x) + 1)[:, None]
        totals, squares = self.total + x.cumsum(axis=0), self.squares + (x**2).cumsum(axis=0)
        means = totals / counts
        deviations = np.sqrt(np.maximum(squares / counts - means**2, 1e-6))
        self.count, self.total, self.squares = counts[-1, 0], totals[-1], squares[-1]
        moved = (x - means) / deviations * self.deviation + self.mean
        return (x + self.strength * (moved - x)).astype(frames.dtype)


def kept_alike(chunks: Iterator[Chunk], reference: np.ndarray, strength: float) -> Iterator[Chunk]:
    """The chunks of one utterance, its frames kept near those of the reference (N, D). Codes stay as they are: there is
    nothing between two of them."""
    if not strength or not np.issubdtype(reference.dtype, np.floating):
        yield from chunks
        return
    keep = Likeness(reference, strength)
    for chunk in chunks:
        yield chunk._replace(frames=keep(chunk.frames[0])[None])
