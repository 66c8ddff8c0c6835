"""Every stage that can be done in parts leaves, in three parts, what it leaves as a whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_model

from latent_tts import audio
from latent_tts.data.frame_pack import FramePack
from latent_tts.data.kaldi import Entry, write_data_dir
from latent_tts.data.row_file import RowFile
from latent_tts.errors import UserError
from latent_tts.evaluate import speed
from latent_tts.evaluate.trials import Trial, read_trials, write_trials

TEXTS = ("One two.", "Three, four.", "Five six seven?", "Eight.", "Nine ten.", "2 + 2", "Yes!")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def work(tmp_path, syllables) -> Path:
    """A data directory of seven utterances, one of them silent, and a trial for each of the others."""
    entries = []
    for number, text in enumerate(TEXTS):
        path = tmp_path / f"ann-{number}.wav"
        audio.write(path, syllables(1.5 + 0.3 * number) * (number != 4), 16000)
        entries.append(Entry(f"ann-{number}", "ann", path, text, 1.5 + 0.3 * number))
    write_data_dir(tmp_path / "data", entries)
    write_trials(tmp_path / "trials.tsv", [Trial(e.utt, e.text, e.path, "ann") for e in entries if e.utt != "ann-4"])
    return tmp_path


def test_three_parts_are_the_whole(work, model, stage, capsys):
    shutil.copytree(work / "data", work / "data_parts")

    def run(kind: str, parts: int) -> None:
        data, pack, frames = work / f"data{kind}", work / f"pack{kind}", work / f"frames{kind}"
        speech = ("--out", work / f"wav{kind}", "--scp", work / f"wav{kind}/wav.scp", "--engine", "torch", "--steps", 2)
        commands = [
            ("pack_audio", "--data_dir", data, "--pack", pack, "--max_bad", 0.2),
            ("phones", "--data_dir", data, "--pack", pack),
            ("align", "--pack", pack, "--aligner", model, "--min_score", -99),
            ("encode", "--data_dir", data, "--pack", pack, "--codec", model, "--out", frames, "--voices", "1", "1.1"),
            ("synthesize", "--model", model, "--trials", work / "trials.tsv", *speech),
        ]
        for command in commands:
            for number in reversed(range(1, parts + 1)):
                assert stage(*command, "--part", f"{number}/{parts}") == 0, capsys.readouterr().err
            assert stage(*command, *(("--merge", parts) if parts else ())) == 0, capsys.readouterr().err

    run("", 0)
    run("_parts", 3)
    said = capsys.readouterr().err
    assert said.count("bad ann-4: ") == 2 and "7 recordings, 1 bad ones left out" in said
    for name in ("data", "pack", "frames", "wav"):
        folders = (work / f"{name}{kind}" for kind in ("", "_parts"))
        whole, parts = ({p.name: p.read_bytes() for p in f.iterdir() if p.suffix != ".jsonl"} for f in folders)
        assert whole and parts == whole, name
    clips = FramePack(work / "frames").clips
    assert len(clips) >= 6
    pace = sum(clip.count for clip in clips) / sum(len(clip.phones) for clip in clips)
    assert f"{work}/frames: {len(clips)} clips, 0 too crowded, {pace:.2f} frames a phone;" in said


def test_bad_recordings_are_counted_over_all_parts(work, stage, capsys):
    """A part of two with a bad one is no reason to stop; one of seven is, where one of ten is borne."""
    options = ("pack_audio", "--data_dir", work / "data", "--pack", work / "pack", "--max_bad", 0.1)
    assert [stage(*options, "--part", f"{number}/4") for number in (1, 2, 3, 4)] == [0] * 4
    assert stage(*options, "--merge", 4) == 2
    said = capsys.readouterr().err.splitlines()
    assert "1 of 7 recordings are bad (more than 10%)" in said[-1] and not (work / "pack/index.json").exists()
    assert stage(*options[:-1], 0.2, "--merge", 4) == 0
    assert sorted(path.name for path in (work / "pack").iterdir()) == ["index.json", "samples.npy"]


def test_more_parts_than_recordings(work, stage):
    options = ("pack_audio", "--data_dir", work / "data", "--pack", work / "pack", "--max_bad", 0.2)
    assert [stage(*options, "--part", f"{number}/9") for number in range(1, 10)] == [0] * 9
    assert stage(*options, "--merge", 9) == 0 and len(json.loads((work / "pack/index.json").read_text())["spans"]) == 6


def test_speech_in_parts_needs_its_table(work, model, stage, capsys):
    options = ("--model", model, "--trials", work / "trials.tsv", "--out", work / "wav")
    assert stage("synthesize", *options, "--part", "1/2") == 2
    assert "need --scp" in capsys.readouterr().err and not (work / "wav").exists()


def test_a_score_in_two_parts(work, stage, capsys):
    """The same score.json to the last digit of its intervals, the same table, page and pictures."""
    for package in ("resemblyzer", "speechmos", "matplotlib"):
        pytest.importorskip(package)
    write_trials(work / "three.tsv", read_trials(work / "trials.tsv")[:3])
    for number in range(3):
        speed.note(work, f"ann-{number}", 0.5 + number, 2.0, engine="torch", threads=1, seed=0)
    score = ("score", "--trials", work / "three.tsv", "--wavs", work, "--pictures", 2)
    parts = (*score, "--out", work / "parts")
    assert stage(*score, "--out", work / "whole") == 0
    table = capsys.readouterr().out
    assert [stage(*parts, "--part", f"{number}/2") for number in (2, 1)] == [0, 0]
    assert {path.name for path in (work / "parts").iterdir()} == {"pictures", "score.json.1.of.2", "score.json.2.of.2"}
    assert stage(*parts, "--merge", 2) == 0 and capsys.readouterr().out == table
    whole, joined = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (work / "whole", work / "parts")
    )
    assert joined == whole and len(whole) == 5
    figures = json.loads((work / "parts/score.json").read_text())
    assert figures["utterances"] == 3 and figures["dnsmos_ovrl"]["interval"][0] < figures["dnsmos_ovrl"]["value"]


class TestRowFile:
    @pytest.mark.parametrize("shape", [(7,), (5, 3), (0, 2)])
    def test_the_same_bytes_as_numpy(self, tmp_path, shape):
        rows = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
        with RowFile(tmp_path / "rows.npy", np.int16) as file:
            for piece in np.array_split(rows, 3):
                file.append(piece)
        np.save(tmp_path / "numpy.npy", rows)
        assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()

    def test_all_or_nothing(self, tmp_path):
        with pytest.raises(ValueError, match="rows of shape"), RowFile(tmp_path / "x/rows.npy", np.int16) as file:
            file.append(np.zeros((2, 3)))
            file.append(np.zeros((2, 4)))
        assert not (tmp_path / "x").exists()

    def test_where_it_cannot_be_written(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(UserError, match="cannot be written"), RowFile(tmp_path / "file/rows.npy", np.int16):
            pass
