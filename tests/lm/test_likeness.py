"""A drifting voice is taken back to its reference: by the formula, at no delay, and only where frames are numbers."""

from __future__ import annotations

import numpy as np
import pytest

from latent_tts.frames import Chunk, Voice
from latent_tts.lm.likeness import PRIOR, SHRINK, Likeness, kept_alike, transport, transported

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(3, 2, (50, 4)).astype(np.float32)
FRAMES = RNG.normal(-1, 0.5, (400, 4)).astype(np.float32)


def chunks(frames: np.ndarray, size: int) -> list[Chunk]:
    pieces = (frames[i : i + size] for i in range(0, len(frames), size))
    return [Chunk(x[None], np.ones((1, len(x)), bool), np.zeros((1, len(x)), np.int64)) for x in pieces]


def kept(
    size: int, strength: float = 1.0, frames: np.ndarray = FRAMES, reference: np.ndarray = REFERENCE
) -> np.ndarray:
    alike = kept_alike(iter(chunks(frames, size)), Voice(reference), strength)
    return np.concatenate([chunk.frames[0] for chunk in alike])


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


def correlated(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Frames (count, 4) of a mean and a covariance of their own."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 4)) @ rng.normal(size=(4, 4)) + shift).astype(np.float32)


def test_a_transport_brings_mean_and_covariance():
    """Of so many frames that shrinking does nothing; of few a covariance comes nearer to its diagonal."""
    reference, said = correlated(200_000, 1, 3.0), correlated(200_000, 2, -1.0)
    moved = transported(said, transport(reference, said), 1.0)
    np.testing.assert_allclose(moved.mean(0), reference.mean(0), atol=1e-3)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(reference.T), atol=0.01 * np.cov(reference.T).max())
    few = correlated(SHRINK, 3)
    found = np.cov(few.T, bias=True)
    wanted = np.cov(transported(correlated(200_000, 4), transport(few, correlated(200_000, 4)), 1.0).T)
    np.testing.assert_allclose(wanted, (found + np.diag(np.diag(found))) / 2, atol=0.01 * found.max())


def test_a_transport_goes_the_shortest_way():
    """A symmetric map without a turn in it: channels without correlation are scaled by their deviations, as in closed
    form, and what is there already stays."""
    one, other = (RNG.normal(size=(100_000, 4)) * scales for scales in ([1, 2, 3, 4], [2, 1, 3, 0.5]))
    move = transport(other, one)[:-1]
    np.testing.assert_allclose(move, np.diag([2, 0.5, 1, 0.125]), atol=0.02)
    move = transport(correlated(5000, 5), correlated(5000, 6))[:-1]
    np.testing.assert_allclose(move, move.T, atol=1e-5)
    assert np.linalg.eigvalsh(move).min() > 0
    np.testing.assert_allclose(transport(FRAMES, FRAMES), np.eye(5)[:, :4], atol=1e-4)


def test_a_rehearsed_voice_is_kept_by_its_transport():
    """Half of the way, whatever the chunks; and codes have none."""
    move = transport(REFERENCE, FRAMES)
    voice = Voice(REFERENCE, transport=move)
    by_size = [np.concatenate([c.frames[0] for c in kept_alike(iter(chunks(FRAMES, n)), voice, 0.5)]) for n in (1, 7)]
    np.testing.assert_allclose(by_size[0], by_size[1], atol=1e-5)
    np.testing.assert_allclose(by_size[0], (FRAMES + transported(FRAMES, move, 1.0)) / 2, atol=1e-5)
    assert by_size[0].dtype == np.float32


def test_a_transport_of_channels_that_stand_still_is_finite():
    still = np.zeros((30, 4), np.float32)
    assert np.isfinite(transport(still, FRAMES)).all() and np.isfinite(transport(REFERENCE, still)).all()
