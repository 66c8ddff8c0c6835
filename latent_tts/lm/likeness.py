"""A cloned voice kept near its reference while it speaks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from latent_tts.frames import Chunk, Voice

SHRINK = 8  # frames that count for channels without correlation, in a covariance
PRIOR = 4  # frames that the reference's own statistics count for: until so many are made they are hardly moved


def transport(reference: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The affine map (D + 1, D), its shift last, that takes frames of the mean and covariance of ``said`` (M, D) to
    those of the ``reference`` (N, D) by the shortest way: optimal transport between two normal distributions (Dowson &
    Landau 1982; Peyré & Cuturi 2019, remark 2.31).

    A language model feeds on its own frames, and step by step the voice drifts from the one it was given to those it
    has learnt from. Where to shows in what it says in that voice, whatever that is; from then on it can be taken back,
    with no delay. A few seconds of frames tell a covariance badly, so it is shrunk towards its own diagonal.
    """
    (there, wanted), (here, found) = (_normal(frames.astype(np.float64)) for frames in (reference, said))
    root = _power(wanted, 0.5)
    move = root @ _power(root @ found @ root, -0.5) @ root
    return np.vstack([move, there - here @ move]).astype(np.float32)


def _normal(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and shrunk covariance (D, D) of frames (N, D)."""
    mean = frames.mean(axis=0)
    found = (frames - mean).T @ (frames - mean) / len(frames)
    alone, kept = np.diag(np.diag(found) + 1e-4), len(frames) / (len(frames) + SHRINK)
    return mean, kept * found + (1 - kept) * alone


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a positive definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-8) ** exponent) @ vectors.T


def transported(frames: np.ndarray, transport: np.ndarray, strength: float) -> np.ndarray:
    """Frames (n, D) moved so much of the way: 0 none, 1 all. Beyond half of it hardly any likeness is gained, and
    naturalness is lost (egs/nano/RESULTS.md, "A rehearsal")."""
    moved = frames @ transport[:-1] + transport[-1]
    return frames + np.float32(strength) * (moved - frames)


class Likeness:
    """Frames (n, D) of an utterance as they are made -> the same with the reference's mean and deviation a channel.

    What ``transport`` does, where nothing has been said in the voice before: what a channel's mean and deviation have
    become shows a part of the drift, and shifting and scaling them back to those of the ``reference`` (N, D) takes that
    back: adaptive instance normalisation (Huang & Belongie 2017, for style). The statistics are those of the frames up
    to each one, so it neither waits nor looks ahead, and it makes no difference how frames come in chunks. ``strength``
    is how much of the way they are moved. Where a decoder makes much of directions in which frames hardly move,
    channels moved apart spoil the sound (``codec.rebase.level``).
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


def kept_alike(chunks: Iterator[Chunk], voice: Voice, strength: float) -> Iterator[Chunk]:
    """The chunks of one utterance, its frames kept near those of the voice's reference. Codes stay as they are: there
    is nothing between two of them."""
    if not strength or not np.issubdtype(voice.frames.dtype, np.floating):
        yield from chunks
        return
    if voice.transport is None:
        keep = Likeness(voice.frames, strength)
    else:
        keep = partial(transported, transport=voice.transport, strength=strength)
    for chunk in chunks:
        yield chunk._replace(frames=keep(chunk.frames[0])[None])
