"""Recorded speech as long as a sentence: beside the reference, and cut where it is quiet."""

from __future__ import annotations

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.data.kaldi import Entry, write_data_dir
from latent_tts.evaluate.recorded import quiet_edged, rest_of
from latent_tts.evaluate.trials import Trial, read_trials, write_trials

RATE = 16000


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    """Eight seconds of noise, quiet for 0.1 s around every full second."""
    rng, second = np.random.default_rng(0), np.arange(8 * RATE) / RATE
    return (0.1 * rng.standard_normal(8 * RATE) * (np.abs(second - second.round()) > 0.05)).astype(np.float32)


@pytest.mark.parametrize("begin, end, rest", [(0, 3, (3, 8)), (4, 8, (0, 4)), (1, 3, (3, 8))])
def test_the_rest_is_what_is_not_in_the_reference(begin, end, rest, recording):
    reference = recording[begin * RATE : end * RATE]
    assert np.array_equal(rest_of(recording, reference), recording[rest[0] * RATE : rest[1] * RATE])
    assert rest_of(recording, reference[::-1]) is None and rest_of(reference, recording) is None


def test_pieces_begin_and_end_where_it_is_quiet(recording):
    piece = quiet_edged(recording[RATE // 2 :], RATE, 2 * RATE)
    assert len(piece) == 2 * RATE
    assert max(np.abs(piece[:320]).max(), np.abs(piece[-320:]).max()) == 0 < np.abs(piece).max()
    assert len(quiet_edged(recording, RATE, len(recording))) == len(recording)
    assert quiet_edged(recording, RATE, len(recording) + 1) is None and quiet_edged(recording, RATE, 10) is None


@pytest.fixture
def spoken(tmp_path, recording) -> list:
    """Arguments for the recipe: two trials in one voice, one of them longer than what is beside its reference."""
    audio.write(tmp_path / "recording.wav", recording, RATE)
    audio.write(tmp_path / "reference.wav", recording[: 3 * RATE], RATE)
    write_data_dir(tmp_path / "data", [Entry("spk-1", "spk", tmp_path / "recording.wav", "a text", 8.0)])
    trials = [Trial(name, "another text", tmp_path / "reference.wav", "spk") for name in ("fits", "long")]
    write_trials(tmp_path / "list.tsv", trials)
    (tmp_path / "said").mkdir()
    for trial, seconds in zip(trials, (2, 6)):
        audio.write(tmp_path / "said" / f"{trial.id}.wav", recording[: seconds * RATE], RATE)
    folders = {"trials": "list.tsv", "data_dir": "data", "wavs": "said", "out": "out"}
    return [word for name, folder in folders.items() for word in (f"--{name}", tmp_path / folder)]


def test_pieces_are_as_long_as_what_was_said(spoken, tmp_path, recording, model_folder, stage, capsys):
    assert stage("recorded_pieces", *spoken) == 0
    assert "1 of 2 trials" in capsys.readouterr().err
    assert [trial.id for trial in read_trials(tmp_path / "out" / "trials.tsv")] == ["fits"]
    piece, rate = audio.read(tmp_path / "out" / "wav" / "fits.wav")
    wanted = quiet_edged(recording[3 * RATE :], RATE, 2 * RATE)
    assert rate == RATE and np.abs(piece - wanted).max() < 1e-3
    assert stage("recorded_pieces", *spoken[:-1], tmp_path / "coded", "--codec", model_folder) == 0
    coded, rate = audio.read(tmp_path / "coded" / "wav" / "fits.wav")
    assert rate == RATE and len(coded) == len(piece) and 0.01 < np.abs(coded - piece).mean() < 0.2


def test_references_of_other_recordings_are_refused(spoken, tmp_path, recording, stage, capsys):
    audio.write(tmp_path / "reference.wav", recording[: 3 * RATE][::-1], RATE)
    assert stage("recorded_pieces", *spoken) == 2
    said = capsys.readouterr().err
    assert "is of none of spk's recordings" in said and said.count("\n") == 1 and not (tmp_path / "out").exists()
