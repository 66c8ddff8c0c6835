"""Mixtures of two sounds' spectra, of sounds for which they are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("librosa")

from latent_tts.evaluate.mixed import mixtures

TIME = np.arange(16000) / 16000


def tone(hertz: float, angle: float = 0.0) -> np.ndarray:
    return np.cos(2 * np.pi * hertz * TIME + angle).astype(np.float32)


def assert_inside(found: np.ndarray, wanted: np.ndarray, tolerance: float = 0.01) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted)[1000:-1000].max() < tolerance


def test_a_sound_mixed_with_itself_is_itself():
    wav = (tone(200) + tone(1234)) * 0.1
    mixed = mixtures(wav, wav, 16000, [1000])
    assert len(mixed) == 4
    for found in mixed.values():
        assert_inside(found, wav, 1e-4)


def test_bands_are_taken_from_one_or_the_other():
    mixed = mixtures(tone(300), tone(3000), 16000, [1000, 5000])
    assert_inside(mixed["original below 1000 Hz"], tone(300) + tone(3000))
    assert_inside(mixed["original above 1000 Hz"], 0 * tone(300))
    assert_inside(mixed["original below 5000 Hz"], tone(300))
    assert_inside(mixed["original above 5000 Hz"], tone(3000))


def test_magnitudes_and_phases_are_taken_from_one_or_the_other():
    mixed = mixtures(0.2 * tone(500, 0.3), 0.7 * tone(500, 1.4), 16000, [1000])
    assert_inside(mixed["original's magnitudes"], 0.2 * tone(500, 1.4))
    assert_inside(mixed["original's phases"], 0.7 * tone(500, 0.3))
