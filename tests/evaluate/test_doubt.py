"""How unsure a recogniser is of a text, on a real clip of egs/mini/corpus."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.evaluate.doubt import doubts
from latent_tts.evaluate.wer import load_recogniser

CLIP = Path(__file__).parents[2] / "egs/mini/corpus/LibriSpeech/train-clean-100/19/198/19-198-0001.opus"
RATE = 16000


@pytest.mark.skipif("WHISPER_DIR" not in os.environ, reason="set WHISPER_DIR to a folder of tools/get_whisper.sh")
def test_doubt_grows_with_noise_and_is_great_of_another_text():
    recogniser = load_recogniser(os.environ["WHISPER_DIR"])
    wav = audio.read(CLIP, RATE)[0]
    texts = dict(line.split(" ", 1) for line in (CLIP.parent / "19-198.trans.txt").read_text().splitlines())
    said, other = texts["19-198-0001"], texts["19-198-0030"]
    noise = np.random.default_rng(0).normal(0, 0.05, len(wav)).astype(np.float32)
    clean, noisy, wrong = (doubts(recogniser, *given) for given in ((wav, said), (wav + noise, said), (wav, other)))
    assert ((0 <= clean) & (clean <= 1)).all() and len(clean) >= len(said.split())
    assert clean.mean() < noisy.mean() < wrong.mean() and wrong.mean() > 0.5
    assert np.array_equal(doubts(recogniser, wav, said.upper()), doubts(recogniser, wav, said.lower().capitalize()))


@pytest.mark.parametrize("seconds, text, complaint", [(31, "Too long.", "30 s at a time"), (1, " ", "no text")])
def test_what_it_cannot_be_asked_is_refused(seconds, text, complaint):
    with pytest.raises(UserError, match=complaint):
        doubts(None, np.zeros(seconds * RATE, np.float32), text)
