"""Similarity, quality and whole scores, on real clips of egs/mini/corpus."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.evaluate import quality, similarity, speed
from latent_tts.evaluate.report import write_score
from latent_tts.evaluate.score import require_packages, score_reconstructions, score_speech
from latent_tts.evaluate.trials import Trial
from latent_tts.speaker import load_encoder

CORPUS = Path(__file__).parents[2] / "egs/mini/corpus/LibriSpeech/train-clean-100"
RATE = 16000


def clip(utt: str, seconds: float = 4.0) -> np.ndarray:
    spk, chapter, _ = utt.split("-")
    return audio.read(CORPUS / spk / chapter / f"{utt}.opus", RATE)[0][: round(seconds * RATE)]


@pytest.fixture(scope="module")
def encoder():
    pytest.importorskip("resemblyzer")
    return load_encoder()


@pytest.fixture(scope="module")
def speech() -> dict[str, np.ndarray]:
    return {"a1": clip("19-198-0001"), "a2": clip("19-198-0030"), "b": clip("3699-175950-0000")}


@pytest.fixture(scope="module")
def noisy(speech) -> np.ndarray:
    return speech["b"] + np.random.default_rng(0).normal(0, 0.02, len(speech["b"])).astype(np.float32)


def test_a_voice_is_more_like_itself_than_like_another(encoder, speech):
    voices = {name: similarity.embed(encoder, wav, RATE) for name, wav in speech.items()}
    same, other = similarity.cosine(voices["a1"], voices["a2"]), similarity.cosine(voices["a1"], voices["b"])
    assert same > 0.75 and same > other + 0.1
    assert similarity.cosine(voices["b"], voices["b"]) == pytest.approx(1.0, abs=1e-5)


def test_the_rate_is_minded(encoder, speech):
    at_24k = similarity.embed(encoder, audio.resample(speech["b"], RATE, 24000), 24000)
    assert similarity.cosine(at_24k, similarity.embed(encoder, speech["b"], RATE)) > 0.98


@pytest.mark.parametrize("level", [0.0, 1e-5])
def test_silence_is_like_no_one(encoder, speech, level):
    silent = np.random.default_rng(0).normal(0, level, RATE).astype(np.float32)
    voices = (similarity.embed(encoder, wav, RATE) for wav in (silent, speech["b"]))
    assert similarity.cosine(*voices) < 0.7


def test_dnsmos_of_nothing_is_refused(speech):
    with pytest.raises(UserError, match="empty"):
        quality.dnsmos(speech["b"][:0], RATE)


def test_stoi_and_pesq_hear_noise_and_take_the_shared_length(speech, noisy):
    pytest.importorskip("pystoi")
    wav = speech["b"]
    assert quality.stoi(wav, wav[:-100], RATE) == pytest.approx(1.0, abs=1e-3)
    assert quality.stoi(wav, noisy, RATE) < 0.95
    pytest.importorskip("pesq")
    assert quality.pesq_wb(wav, wav[:-100], RATE) > 4.5
    assert quality.pesq_wb(wav, noisy, RATE) < 2.5
    assert quality.pesq_wb(np.zeros_like(wav), np.zeros_like(wav), RATE) is None


def test_a_folder_of_speech_gets_a_score(tmp_path, encoder, speech):
    pytest.importorskip("speechmos")
    for name, wav in speech.items():
        audio.write(tmp_path / f"{name}.wav", wav, RATE)
        speed.note(tmp_path, name, 1.0, 4.0, engine="torch", threads=1, seed=7)
    trials = [Trial(name, "said", tmp_path / "a1.wav", "19") for name in ("a2", "b")]
    score = score_speech(trials, tmp_path)
    rows = {row["id"]: row for row in score["each"]}
    assert score["utterances"] == 2 and score["seconds"] == pytest.approx(8.0)
    assert score["wer"] is score["leak"] is None and score["extractor"] == similarity.EXTRACTOR
    assert score["real_time"]["value"] == rows["b"]["real_time"] == 0.25 and score["synthesis"]["seed"] == 7
    assert score["bootstrap"]["seed"] == 0
    assert rows["a2"]["similarity"] > rows["b"]["similarity"] + 0.1
    mean = (rows["a2"]["similarity"] + rows["b"]["similarity"]) / 2
    assert score["similarity"]["value"] == pytest.approx(mean)
    write_score(tmp_path / "score.json", score)
    assert json.loads((tmp_path / "score.json").read_text()) == score
    with pytest.raises(UserError, match="1 of 1 sound files are missing"):
        score_speech([Trial("gone", "said", tmp_path / "a1.wav", "19")], tmp_path)


def test_the_mel_distance_is_what_it_says(speech, noisy):
    """A factor is its logarithm in every band where the floor is not reached; equals have none; the rate is minded."""
    loud = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    assert quality.mel_distance(loud, loud[:-100], RATE) == 0
    assert quality.mel_distance(loud, loud / 2, RATE) == pytest.approx(math.log(2), abs=1e-3)
    wav = speech["b"]
    near, far = (quality.mel_distance(wav, wav + level * (noisy - wav), RATE) for level in (0.1, 1.0))
    assert 0 < near < far
    at_24k = [audio.resample(sound, RATE, 24000) for sound in (wav, noisy)]
    assert quality.mel_distance(*at_24k, 24000) == pytest.approx(far, rel=0.05)


def test_systems_are_scored_against_the_same_originals(tmp_path, encoder, speech, noisy):
    for package in ("speechmos", "pystoi"):
        pytest.importorskip(package)
    for name, wav in (("original", speech["b"]), ("made", noisy)):
        audio.write(tmp_path / f"{name}.wav", wav, RATE)
    originals = {"u": tmp_path / "original.wav"}
    score = score_reconstructions(originals, {"original": originals, "made": {"u": tmp_path / "made.wav"}})
    original, made = score["systems"]["original"], score["systems"]["made"]
    assert original["stoi"]["value"] == pytest.approx(1, abs=1e-3) and 0.5 < made["stoi"]["value"] < 0.95
    assert original["mel_distance"]["value"] == 0 and made["mel_distance"]["value"] > 0.5
    assert made["similarity"]["value"] < original["similarity"]["value"] == pytest.approx(1, abs=1e-5)
    assert 2.5 < original["dnsmos_ovrl"]["value"] < 5
    assert 1 < made["dnsmos_ovrl"]["value"] < original["dnsmos_ovrl"]["value"] - 0.5
    assert made["wer"] is None and made["utterances"] == 1 and made["read"] == 0
    assert score["mel_distance"] == quality.MEL_DISTANCE
    with pytest.raises(UserError, match="u of made .not given"):
        score_reconstructions(originals, {"made": {}})


def test_without_pesq_the_rest_is_scored(tmp_path, speech, monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    assert quality.pesq_wb(speech["b"], speech["b"], RATE) is None
    require_packages()


def test_a_missing_package_is_one_line(tmp_path, speech, monkeypatch):
    for name in ("pystoi", "jiwer"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="needs pystoi; .*install"):
        score_reconstructions({}, {})
    with pytest.raises(UserError, match="needs pystoi, jiwer; ") as refused:
        score_speech([], tmp_path, whisper_dir="whisper")
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(
    "WHISPER_DIR" not in os.environ, reason="set WHISPER_DIR to a folder of tools/get_whisper.sh"
)
def test_the_recogniser_hears_what_is_said(tmp_path, encoder, speech):
    said = "Steph cried my great-grandfather, clapping his hand upon his nose."
    audio.write(tmp_path / "b.wav", clip("3699-175950-0000", 9.0), RATE)
    score = score_speech([Trial("b", said, tmp_path / "b.wav", "3699")], tmp_path, os.environ["WHISPER_DIR"])
    assert score["wer"]["value"] <= 0.2 and score["share_over_half"]["value"] == score["leak"]["value"] == 0
    originals = {"b": tmp_path / "b.wav", "untold": tmp_path / "b.wav"}
    texts = {"b": said, "untold": ""}
    score = score_reconstructions(originals, {"original": originals}, texts, os.environ["WHISPER_DIR"])
    original = score["systems"]["original"]
    assert original["wer"]["value"] <= 0.2 and (original["utterances"], original["read"]) == (2, 1)


def test_long_speech_is_scored_to_its_end(tmp_path, encoder, speech):
    """Readers of references stop after a minute; a page that was read aloud is heard whole."""
    wavs = tmp_path / "wavs"
    wavs.mkdir()
    audio.write(tmp_path / "ref.wav", speech["b"], RATE)
    audio.write(wavs / "t.wav", np.tile(speech["b"], 17), RATE)
    score = score_speech([Trial("t", "A page.", tmp_path / "ref.wav", "b")], wavs)
    assert score["seconds"] == pytest.approx(17 * len(speech["b"]) / RATE) and score["seconds"] > 60
