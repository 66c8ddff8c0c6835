"""Kaldi directories."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latent_tts import audio
from latent_tts.data.kaldi import (
    Entry,
    read_data_dir,
    read_table,
    validate_data_dir,
    write_data_dir,
    write_table,
)
from latent_tts.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def entries(tmp_path):
    """Three utterances of two speakers, a second of noise each, one with a text beyond ASCII."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    made = []
    for utt, spk, text in (("b-2", "b", "Grüße, “you”"), ("a-1", "a", "one two"), ("b-1", "b", "three")):
        audio.write(tmp_path / f"{utt}.wav", noise, 16000)
        made.append(Entry(utt, spk, tmp_path / f"{utt}.wav", text, 1.0))
    return made


def test_what_is_written_is_read_back_sorted_and_sound(tmp_path, entries):
    write_data_dir(tmp_path / "d", entries)
    assert read_data_dir(tmp_path / "d") == sorted(entries, key=lambda e: e.utt)
    assert validate_data_dir(tmp_path / "d") == []
    assert (tmp_path / "d/spk2utt").read_text() == "a a-1\nb b-1 b-2\n"
    assert {p.name for p in (tmp_path / "d").iterdir()} == {
        "wav.scp",
        "text",
        "utt2spk",
        "spk2utt",
        "utt2dur",
    }


def test_without_utt2dur_the_sound_is_measured_and_relative_paths_count_from_the_directory(tmp_path, entries):
    write_data_dir(tmp_path / "d", entries)
    (tmp_path / "d/utt2dur").unlink()
    write_table(tmp_path / "d/wav.scp", {e.utt: f"../{e.path.name}" for e in entries})
    assert [round(e.seconds, 3) for e in read_data_dir(tmp_path / "d")] == [1.0, 1.0, 1.0]
    assert validate_data_dir(tmp_path / "d") == []


@given(st.sets(st.text(st.characters(exclude_categories=("Z", "C")), min_size=1), min_size=1))
def test_tables_are_sorted_as_bytes(tmp_path_factory, keys):
    path = tmp_path_factory.mktemp("t") / "text"
    write_table(path, dict.fromkeys(keys, "x"))
    lines = path.read_bytes().splitlines()
    assert lines == sorted(lines, key=lambda line: line.split(b" ")[0])
    assert read_table(path).keys() == keys


@pytest.mark.parametrize(
    "change",
    [
        {"utt": "x-1"},
        {"utt": "a 1"},
        {"text": " "},
        {"text": "a\nb"},
        {"seconds": 0.0},
        {"seconds": float("nan")},
    ],
)
def test_an_unfit_entry_is_refused_and_nothing_is_written(tmp_path, entries, change):
    with pytest.raises(UserError):
        write_data_dir(tmp_path / "d", [*entries[:2], replace(entries[2], **change)])
    with pytest.raises(UserError, match="twice"):
        write_data_dir(tmp_path / "d", [entries[0], entries[0]])
    assert not (tmp_path / "d").exists()


def test_every_problem_is_named_with_its_place(tmp_path, entries):
    folder = tmp_path / "d"
    write_data_dir(folder, entries)
    (folder / "text").write_text("a-1 one\nb-2 two\nb-1\nb-1 three\n")
    (folder / "utt2dur").write_text("a-1 1.0\nb-1 long\nb-2 1.0\n")
    (folder / "utt2spk").write_text("a-1 a\nb-1 c\nb-2 b\n")
    (folder / "wav.scp").write_text(
        f"a-1 {entries[1].path}\nb-1 gone.wav\nb-2 sox x.wav - |\nb-3 {entries[0].path}\n"
    )
    problems = [problem.removeprefix(f"{folder}/") for problem in validate_data_dir(folder)]
    for expected in (
        "text:3: 'b-1' is out of order",
        "text:3: 'b-1' has no value",
        "text:4: 'b-1' comes twice",
        "text: has no line for 'b-3'",
        "wav.scp:2: 'b-1': no file gone.wav",
        "wav.scp: commands are not run",
        "utt2spk:2: 'b-1' does not begin with its speaker 'c'",
        "utt2spk: gives 'b-1' to 'c', spk2utt does not",
        "utt2dur: 'b-1' lasts 'long' seconds",
    ):
        assert any(problem.startswith(expected) for problem in problems), (expected, problems)


def test_reading_refuses_what_it_cannot_hold(tmp_path, entries):
    folder = tmp_path / "d"
    with pytest.raises(UserError, match="no such file"):
        read_data_dir(folder)
    write_data_dir(folder, entries)
    (folder / "text").write_text("a-1 one\n")
    with pytest.raises(UserError, match="disagree on 'b-1'"):
        read_data_dir(folder)
    (folder / "wav.scp").write_text("a-1 rm -rf / |\n")
    (folder / "utt2spk").write_text("a-1 a\n")
    with pytest.raises(UserError, match="commands are not run"):
        read_data_dir(folder)


class TestSegments:
    @pytest.fixture
    def pieces(self, entries) -> list[Entry]:
        """Two stretches of one recording, and one of another."""
        spans = {"a-1-x": ("a-1", 0, 0.5), "a-1-y": ("a-1", 0.25, 1), "b-1-x": ("b-1", 0.5, 0.75)}
        whole = {entry.utt: entry for entry in entries}
        return [
            replace(whole[name], utt=utt, seconds=end - begin, span=(begin, end), recording=name)
            for utt, (name, begin, end) in spans.items()
        ]

    def test_they_are_read_back_and_are_sound(self, tmp_path, pieces):
        write_data_dir(tmp_path / "d", pieces)
        assert validate_data_dir(tmp_path / "d") == []
        assert read_data_dir(tmp_path / "d") == pieces
        assert (tmp_path / "d/segments").read_text().splitlines()[0] == "a-1-x a-1 0.0000 0.5000"
        assert [line.split()[0] for line in (tmp_path / "d/wav.scp").read_text().splitlines()] == ["a-1", "b-1"]
        wav, rate = pieces[1].read(8000)
        whole, _ = audio.read(pieces[1].path)
        assert rate == 8000 and len(wav) == 6000
        assert np.array_equal(pieces[1].read()[0], whole[4000:])

    def test_a_directory_without_them_leaves_none(self, tmp_path, entries, pieces):
        write_data_dir(tmp_path / "d", pieces)
        write_data_dir(tmp_path / "d", entries)
        assert read_data_dir(tmp_path / "d") == sorted(entries, key=lambda e: e.utt)

    @pytest.mark.parametrize("change", [{"span": None}, {"span": (0.5, 0.5)}, {"span": (-1, 1)}, {"recording": ""}])
    def test_an_unfit_one_is_refused(self, tmp_path, pieces, change):
        with pytest.raises(UserError):
            write_data_dir(tmp_path / "d", [*pieces[:2], replace(pieces[2], **change)])
        assert not (tmp_path / "d").exists()

    def test_problems_are_named_with_their_place(self, tmp_path, pieces):
        folder = tmp_path / "d"
        write_data_dir(folder, pieces)
        (folder / "segments").write_text("a-1-x a-1 0 1\na-1-y a-1 1 0\nb-1-y b-7 0 1\n")
        problems = [problem.removeprefix(f"{folder}/") for problem in validate_data_dir(folder)]
        for expected in (
            "segments:3: 'b-1-y': wav.scp has no recording 'b-7'",
            "segments: 'a-1-y' is 'a-1 1 0'",
            "segments: has no line for 'b-1-x'",
            "text: has no line for 'b-1-y'",
        ):
            assert any(problem.startswith(expected) for problem in problems), (expected, problems)
        with pytest.raises(UserError, match="'a-1-y' is 'a-1 1 0'; write its recording, begin and end"):
            read_data_dir(folder)

    def test_a_stretch_beyond_the_end_is_not_read(self, pieces):
        with pytest.raises(UserError, match="holds no sound from 0.5 to 2 s"):
            replace(pieces[0], span=(0.5, 2.0)).read()


def test_the_validation_tool_lists_problems_and_fails(tmp_path, entries):
    write_data_dir(tmp_path / "d", entries)
    command = [sys.executable, str(ROOT / "tools/validate_data_dir.py"), str(tmp_path / "d")]
    assert subprocess.run(command, env={"PYTHONPATH": str(ROOT)}).returncode == 0
    entries[0].path.unlink()
    failed = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert failed.returncode == 1 and "'b-2': no file" in failed.stderr
