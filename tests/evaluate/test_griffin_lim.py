"""The anchor of codecs' figures: what it spends, and that its split into bands and frames is a fair one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.evaluate.griffin_lim import MelGriffinLim
from latent_tts.evaluate.quality import mel_distance

pytest.importorskip("librosa")

CORPUS = Path(__file__).parents[2] / "egs/mini/corpus/LibriSpeech/train-clean-100"
RATE = 16000


@pytest.fixture(scope="module")
def wav() -> np.ndarray:
    return audio.read(CORPUS / "3699/175950/3699-175950-0000.opus", RATE)[0][: 4 * RATE]


@pytest.mark.parametrize(
    ("sample_rate", "numbers", "bands", "hop"),
    [(16000, 64 * 12.5, 20, 400), (24000, 32 * 15, 12, 600), (24000, 64 * 7.5, 12, 600), (16000, 8 * 12.5, 2, 320)],
)
def test_it_spends_what_it_is_given(sample_rate, numbers, bands, hop):
    anchor = MelGriffinLim.at_rate(sample_rate, numbers)
    assert (anchor.bands, anchor.hop) == (bands, hop) and anchor.numbers == pytest.approx(numbers)


@pytest.mark.parametrize("numbers", [1, 7, 30, 61, 1234.5])
def test_it_spends_odd_numbers_too(numbers):
    assert MelGriffinLim.at_rate(RATE, numbers).numbers == pytest.approx(numbers, rel=0.01)


def test_a_seed_is_a_sound(wav):
    anchor = MelGriffinLim.at_rate(RATE, 800)
    first, again, other = anchor(wav), anchor(wav), anchor(wav, seed=1)
    assert first.shape == wav.shape and first.dtype == np.float32
    assert np.array_equal(first, again) and np.abs(first - other).max() > 0.01


def test_of_the_ways_to_spend_800_numbers_the_distance_is_least_between(wav):
    distances = {
        bands: mel_distance(wav, MelGriffinLim(RATE, bands, RATE * bands // 800)(wav), RATE) for bands in (5, 20, 80)
    }
    assert distances[20] < distances[5] and distances[20] < distances[80]


def test_silence_stays_silent():
    assert np.abs(MelGriffinLim.at_rate(RATE, 800)(np.zeros(RATE, np.float32))).max() < 1e-6
