"""A small model that babbles, for whatever is made with one that speaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import tiny_model

from latent_tts.frames import Voice
from latent_tts.tts import TTS


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("studio") / "tiny")


@pytest.fixture(scope="session")
def tts(tiny_folder) -> TTS:
    return TTS.from_dir(tiny_folder)


@pytest.fixture
def voice(tts, syllables) -> Voice:
    return tts.clone(syllables(), sample_rate=16000)
