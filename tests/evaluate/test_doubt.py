"""How unsure a recogniser is of a text, on a real clip of egs/mini/corpus."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.data.kaldi import Entry, write_data_dir
from latent_tts.errors import UserError
from latent_tts.evaluate.doubt import doubts
from latent_tts.evaluate.wer import load_recogniser

CLIP = Path(__file__).parents[2] / "egs/mini/corpus/LibriSpeech/train-clean-100/19/198/19-198-0001.opus"
RATE = 16000


needs_whisper = pytest.mark.skipif(
    "WHISPER_DIR" not in os.environ, reason="set WHISPER_DIR to a folder of tools/get_whisper.sh"
)


@needs_whisper
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


@needs_whisper
def test_the_command_compares_a_codec_with_the_recordings(stage, tmp_path, capsys):
    texts = dict(line.split(" ", 1) for line in (CLIP.parent / "19-198.trans.txt").read_text().splitlines())
    paths = {utt: CLIP.with_name(f"{utt}.opus") for utt in ("19-198-0001", "19-198-0030")}
    write_data_dir(tmp_path, [Entry(utt, "19", path, texts[utt], audio.seconds(path)) for utt, path in paths.items()])
    assert stage("doubt", "--data", tmp_path, "--whisper", os.environ["WHISPER_DIR"], "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split("|")[2].strip() for line in said[2:]] == ["2", "2", "2"] and "doubt %" in said[0]
    systems = json.loads((tmp_path / "out/score.json").read_text())["systems"]
    original, codec = ([row["doubt"] / row["tokens"] for row in each["each"]] for each in systems.values())
    assert 0 < sum(original) and 0 < max(abs(b - a) for a, b in zip(original, codec)) < 0.2
