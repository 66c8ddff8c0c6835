"""A drifting voice is taken back to its reference: by the formula, at no delay, and only where frames are numbers."""

from __future__ import annotations

import numpy as np
import pytest

from latent_tts.frames import Chunk
from latent_tts.lm.likeness import PRIOR, Likeness, kept_alike

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(3, 2, (50, 4)).astype(np.float32)
FRAMES = RNG.normal(-1, 0.5, (400, 4)).astype(np.float32)


def chunks(frames: np.ndarray, size: int) -> list[Chunk]:
    pieces = (frames[i : i + size] for i in range(0, len(frames), size))
    return [Chunk(x[None], np.ones((1, len(x)), bool), np.zeros((1, len(x)), np.int64)) for x in pieces]


def kept(
    size: int, strength: float = 1.0, frames: np.ndarray = FRAMES, reference: np.ndarray = REFERENCE
) -> np.ndarray:
    return np.concatenate([chunk.frames[0] for chunk in kept_alike(iter(chunks(frames, size)), reference, strength)])


def test_it_is_its_formula():
    """Frame n is scaled and shifted by the mean and deviation of PRIOR frames like the reference and the n made."""
    mean, deviation = REFERENCE.mean(0), REFERENCE.std(0)
    for n in (1, 7, 400):
        share = PRIOR / (PRIOR + n)
        now = share * mean + (1 - share) * FRAMES[:n].mean(0)
        square = share * (deviation**2 + mean**2) + (1 - share) * (FRAMES[:n] ** 2).mean(0)
        wanted = (FRAMES[n - 1] - now) / np.sqrt(square - now**2) * deviation + mean
        np.testing.assert_allclose(Likeness(REFERENCE, 1.0)(FRAMES[:n])[-1], wanted, rtol=1e-3)


def test_in_the_end_the_statistics_are_the_reference_s():
    made = kept(size=1)[200:]
    np.testing.assert_allclose(made.mean(0), REFERENCE.mean(0), atol=0.4)
    np.testing.assert_allclose(made.std(0), REFERENCE.std(0), rtol=0.4)
    assert made.dtype == np.float32


@pytest.mark.parametrize("size", [3, 8, 400])
def test_chunks_make_no_difference(size):
    np.testing.assert_array_equal(kept(size), kept(1))


def test_none_of_the_way_and_half_of_it():
    assert np.array_equal(kept(8, strength=0), FRAMES)
    np.testing.assert_allclose(kept(8, strength=0.5), (kept(8) + FRAMES) / 2, atol=1e-5)


def test_a_channel_that_stands_still_is_shifted():
    still = np.zeros((30, 4), np.float32)
    assert np.isfinite(kept(4, frames=still)).all() and np.isfinite(kept(4, reference=still)).all()


def test_codes_stay_codes():
    codes = RNG.integers(0, 9, (12, 4))
    assert np.array_equal(kept(5, frames=codes, reference=codes[:3]), codes)
