"""Kaldi directories, and the preparation of the corpora that egs/mini finds."""

from __future__ import annotations

import random
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
CORPUS = ROOT / "egs/mini/corpus"
CLIP = CORPUS / "LibriSpeech/train-clean-100/3699/175950/3699-175950-0000.opus"


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


def data_prep(*arguments: object) -> subprocess.CompletedProcess:
    script = ROOT / "egs/mini/local/data_prep.py"
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, timeout=60)


def test_the_bundled_corpus_splits_by_speaker(tmp_path):
    done = data_prep("--corpus_dir", CORPUS, "--data_dir", tmp_path)
    assert done.returncode == 0, done.stderr
    speakers = {s: {e.spk for e in read_data_dir(tmp_path / s)} for s in ("train", "valid", "test")}
    assert speakers["test"] == {"3168", "3699", "5049"}
    assert speakers["valid"] == {"1963", "3259"}
    assert len(speakers["train"]) == 13 and {"19", "26", "27"} < speakers["train"]
    texts = {e.utt: e.text for e in read_data_dir(tmp_path / "train")}
    assert texts["19-198-0001"].startswith("This little work was finished in the year eighteen o three and ")


def make_corpora(root: Path) -> None:
    """One corpus of each layout; of 41 items two are broken, and one machine transcript is doubtful."""
    clip, rate = audio.read(CLIP)

    def sound(path: Path, seconds: float = 1.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, clip[: round(seconds * rate)], rate)

    for spk in (9, 10, 11, 12):
        sound(root / f"Libri/train-clean-100/{spk}/1/{spk}-1-0000.flac")
    rows = ["utt\tavg_logprob\ttext", "9-1-0000\t-0.1\tYes.", "10-1-0000\t-0.2\tNo.", "11-1-0000\t-0.3\tOh."]
    (root / "Libri/machine_transcripts.tsv").write_text("\n".join([*rows, "12-1-0000\t-0.9\tHm."]))
    for part in ("dev-clean", "test-clean"):
        sound(root / f"Libri/{part}/8/1/8-1-0000.flac")
    for number in range(32):
        sound(root / f"lj/wavs/x{number:02d}.opus", 0.5 if number == 3 else 1.0)
    (root / "lj/wavs/x04.opus").write_bytes(b"OggS no sound")
    (root / "lj/metadata.csv").write_text("".join(f"x{n:02d}|No. {n}|Number {n}\n" for n in range(32)))
    sound(root / "v/wav48/p1/p1_001.wav")
    (root / "v/txt/p1").mkdir(parents=True)
    (root / "v/txt/p1/p1_001.txt").write_text("Please call.\n")
    for utt, spk in (("18-a", "18"), ("19-a", "19"), ("20-a", "20"), ("kim-a", "kim")):
        sound(root / f"k/{utt}.wav")
        for table, value in (("wav.scp", f"{utt}.wav"), ("text", "I DON'T SAY"), ("utt2spk", spk)):
            with open(root / "k" / table, "a") as file:
                file.write(f"{utt} {value}\n")


def test_four_layouts_are_found_split_and_cleaned(tmp_path):
    make_corpora(tmp_path / "c")
    done = data_prep("--corpus-dir", tmp_path / "c", "--data-dir", tmp_path / "d")
    assert done.returncode == 0, done.stderr
    splits = {
        s: {e.utt: e.text for e in read_data_dir(tmp_path / "d" / s)} for s in ("train", "valid", "test")
    }
    assert splits["test"] == {"9-1-0000": "Yes.", "k_18-a": "I don't say"}
    assert splits["valid"] == {"10-1-0000": "No.", "k_19-a": "I don't say"}
    train = splits["train"]
    assert {"11-1-0000", "k_20-a", "k_kim-a", "p1_001", "lj-x31"} < train.keys()
    assert len(train) == 4 + 30 and train["lj-x31"] == "Number 31"
    assert "41 items: 2 broken, 1 doubtful" in done.stderr
    assert "broken lj-x03 (lj): 0.50 s is shorter" in done.stderr
    assert "broken lj-x04 (lj): " in done.stderr and "doubtful 12-1-0000" in done.stderr


def test_a_corpus_can_be_left_out_and_a_bad_one_stops_the_stage(tmp_path):
    make_corpora(tmp_path / "c")
    done = data_prep("--corpus_dir", tmp_path / "c", "--data_dir", tmp_path / "d", "--exclude", "lj")
    assert done.returncode == 0 and "lj-" not in (tmp_path / "d/train/text").read_text()
    done = data_prep("--corpus_dir", tmp_path / "c", "--data_dir", tmp_path / "e", "--exclude", "none")
    assert done.returncode == 2 and "it has: Libri, k, lj, v" in done.stderr
    for number in random.Random(0).sample(range(5, 32), 4):
        (tmp_path / f"c/lj/wavs/x{number:02d}.opus").unlink()
    done = data_prep("--corpus_dir", tmp_path / "c", "--data_dir", tmp_path / "e")
    assert done.returncode == 2 and "6 of 41 items are broken" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "e").exists()


def test_the_validation_tool_lists_problems_and_fails(tmp_path, entries):
    write_data_dir(tmp_path / "d", entries)
    command = [sys.executable, str(ROOT / "tools/validate_data_dir.py"), str(tmp_path / "d")]
    assert subprocess.run(command, env={"PYTHONPATH": str(ROOT)}).returncode == 0
    entries[0].path.unlink()
    failed = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert failed.returncode == 1 and "'b-2': no file" in failed.stderr
