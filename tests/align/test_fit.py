"""How well a sound fits its phones: the shipped aligner must tell a sentence from what it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.align.fit import Fit, fit
from latent_tts.model_dir import load_aligner
from latent_tts.text.normalize import normalize
from latent_tts.text.phonemes import Phonemizer


@pytest.fixture(scope="module")
def heard(model_folder):
    """``heard(text, wav)``: the fit of a sound to a text; the recording's own by default."""
    aligner, symbols = load_aligner(model_folder)
    phonemizer = Phonemizer(symbols)
    recording = audio.read(model_folder / "reference.flac", aligner.config.sample_rate)[0]
    said = (model_folder / "reference.txt").read_text("utf-8")

    def measure(text: str | None = None, change=lambda wav: wav) -> Fit:
        return fit(aligner.hearing, change(recording), symbols.ids(phonemizer(normalize(text or said))))

    measure.said = said
    return measure


def test_a_recording_fits_its_text(heard):
    found = heard()
    assert found.clarity > 0.3 and found.missed < 0.25 and found.before == 0
    assert len(found.words) == len(heard.said.split())


def test_a_word_too_many_is_the_worst(heard):
    """Or the one before it, whose sound it takes."""
    words = heard.said.rstrip(".").split()
    more = heard(" ".join([*words[:3], "bubblegum", *words[3:]]))
    assert int(np.argmin(more.words)) in (2, 3) and more.clarity < heard().clarity - 0.03


def test_another_text_and_noise_do_not_fit(heard):
    whole = heard()
    noise = heard(None, lambda wav: np.random.default_rng(0).normal(size=len(wav)))
    for other in (heard("Bubblegum and chewing tobacco."), noise, heard(None, lambda wav: 0 * wav)):
        assert other.clarity < whole.clarity / 2 and other.missed > 2 * whole.missed


def test_speech_before_the_first_word_is_noticed(heard):
    words = heard.said.rstrip(".").split()
    assert heard(" ".join(words[len(words) // 2 :])).before >= 3


def test_too_short_a_sound_fits_in_nothing(heard):
    found = heard(None, lambda wav: wav[:1600])
    assert found == replace(found, clarity=0.0, missed=1.0, before=0) and set(found.words) == {0.0}
