"""What is wrong with a data directory is named by one tool and put right, or left out, by the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.data.kaldi import Entry, read_data_dir, read_table, validate_data_dir, write_data_dir
from latent_tts.data.repair import fix_data_dir
from latent_tts.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """Three utterances of two speakers, a second of noise each."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    entries = []
    for utt, text in (("a-1", "one"), ("a-2", "two"), ("b-1", "three")):
        audio.write(tmp_path / f"{utt}.wav", noise, 16000)
        entries.append(Entry(utt, utt[0], tmp_path / f"{utt}.wav", text, 1.0))
    write_data_dir(tmp_path / "d", entries)
    return tmp_path / "d"


def cut_into_segments(folder: Path, lines: str) -> None:
    """Make b-1 a recording of which there are stretches, the utterances of the directory."""
    (folder / "segments").write_text(lines)
    (folder / "wav.scp").write_text(f"b-1 {folder.parent / 'b-1.wav'}\n")


def unsorted(folder):
    (folder / "text").write_text("b-1 three\na-1 one\na-2 two\n")


def doubled_the_same(folder):
    (folder / "utt2spk").write_text("a-1 a\na-1 a\na-2 a\nb-1 b\n")


def doubled_differently(folder):
    (folder / "text").write_text("a-1 one\na-1 won\na-2 two\nb-1 three\n")


def file_missing(folder):
    (folder.parent / "a-1.wav").unlink()


def speakers_mixed_up(folder):
    (folder / "spk2utt").write_text("a a-1\nb a-2 b-1\n")


def no_spk2utt(folder):
    (folder / "spk2utt").unlink()


def text_empty(folder):
    (folder / "text").write_text("a-1\na-2 two\nb-1 three\n")


def a_line_lacks(folder):
    (folder / "utt2spk").write_text("a-2 a\nb-1 b\n")


def duration_wrong(folder):
    (folder / "utt2dur").write_text("a-1 long\na-2 1.0\nb-1 1.0\n")


def a_command(folder):
    (folder / "wav.scp").write_text((folder / "wav.scp").read_text().replace(f"{folder.parent}/a-1.wav", "sox x - |"))


def segment_out_of_range(folder):
    cut_into_segments(folder, "a-1 b-1 0.5 1.5\na-2 b-1 0 0.5\nb-1 b-1 0.5 1.05\n")


def segment_turned_round(folder):
    cut_into_segments(folder, "a-1 b-1 0.9 0.2\na-2 b-1 0 0.5\nb-1 b-1 0.5 1\n")


def segment_of_nothing(folder):
    cut_into_segments(folder, "a-1 b-9 0 0.5\na-2 b-1 0 0.5\nb-1 b-1 0.5 1\n")


@pytest.mark.parametrize(
    "harm, found, left_out",
    [
        (unsorted, "text:2: 'a-1' is out of order", ""),
        (doubled_the_same, "utt2spk:2: 'a-1' comes twice", ""),
        (doubled_differently, "text:2: 'a-1' comes twice", "a-1: text:2 says something else"),
        (file_missing, "wav.scp:1: 'a-1': no file", "a-1: "),
        (speakers_mixed_up, "utt2spk: gives 'a-2' to 'a', spk2utt does not", ""),
        (no_spk2utt, "spk2utt: no such file", ""),
        (text_empty, "text:1: 'a-1' has no value", "a-1: text says nothing"),
        (a_line_lacks, "utt2spk: has no line for 'a-1'", "a-1: utt2spk says nothing"),
        (duration_wrong, "utt2dur: 'a-1' lasts 'long' seconds", ""),
        (a_command, "wav.scp: commands are not run", "a-1: "),
        (segment_out_of_range, "segments:1: 'a-1': it ends at 1.5 s, its recording at 1.00 s", "a-1: it ends at 1.5 s"),
        (segment_turned_round, "segments: 'a-1' is 'b-1 0.9 0.2'", "a-1: "),
        (segment_of_nothing, "segments:1: 'a-1': wav.scp has no recording 'b-9'", "a-1: its recording 'b-9'"),
    ],
)
def test_harm_is_named_and_put_right(folder, harm, found, left_out):
    harm(folder)
    assert any(problem.removeprefix(f"{folder}/").startswith(found) for problem in validate_data_dir(folder))
    before = (folder / "text").read_text()
    problems, remain = fix_data_dir(folder)
    assert remain == (2 if left_out else 3)
    assert problems[0].startswith(left_out) if left_out else problems == []
    assert validate_data_dir(folder) == []
    assert len(read_data_dir(folder)) == remain
    assert (folder / ".backup/text").read_text() == before


def test_a_sound_one_is_not_touched(folder):
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert fix_data_dir(folder) == ([], 3)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_paths_stay_as_they_are_and_other_tables_lose_the_same_lines(folder):
    (folder / "wav.scp").write_text("a-1 gone.wav\na-2 ../a-2.wav\nb-1 ../b-1.wav\n")
    (folder / "phones").write_text("a-1 _ w\na-2 _ t\n")
    assert fix_data_dir(folder)[1] == 2
    assert read_table(folder / "wav.scp") == {"a-2": "../a-2.wav", "b-1": "../b-1.wav"}
    assert read_table(folder / "phones") == {"a-2": "_ t"}


def test_where_nothing_would_remain_nothing_is_changed(folder):
    (folder / "utt2spk").write_text("a-1 x\na-2 x\nb-1 x\n")
    with pytest.raises(UserError, match="no utterance is sound .a-1: its id does not begin with its speaker 'x'"):
        fix_data_dir(folder)
    assert not (folder / ".backup").exists() and (folder / "text").read_text().startswith("a-1 one")
    with pytest.raises(UserError, match="cannot be read"):
        fix_data_dir(folder / "nowhere")


def test_the_tools_say_so_by_their_status(folder):
    def run(tool: str, *arguments: object) -> subprocess.CompletedProcess:
        command = [sys.executable, str(ROOT / "tools" / tool), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})

    file_missing(folder)
    assert run("validate_data_dir.py", folder).returncode == 1
    fixed = run("fix_data_dir.py", folder)
    assert fixed.returncode == 1 and f"{folder}: a-1: " in fixed.stderr and "2 utterances" in fixed.stderr
    assert run("fix_data_dir.py", folder).returncode == run("validate_data_dir.py", folder).returncode == 0
    lost = run("fix_data_dir.py", folder / "nowhere")
    assert lost.returncode == 2 and "Traceback" not in lost.stderr
