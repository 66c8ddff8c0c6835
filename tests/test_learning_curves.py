"""Curves over data and steps: parts of frame packs, and what trainings have left for the dashboard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latent_tts.data.frame_pack import EncodedClip, FramePack, laid_out, write_frame_pack


@pytest.fixture
def pack(tmp_path) -> Path:
    """Four recordings of two copies each, the first in two clips; a frame holds the number of its clip."""
    names = [f"u{i}@{copy}_{begin:07d}" for copy in (0, 1) for i, begin in ((0, 0), (0, 900), (1, 0), (2, 0), (3, 0))]
    clips = [(EncodedClip("s@0", 0, i + 1, (3,), (0,), name), np.full((i + 1, 2), i)) for i, name in enumerate(names)]
    placed, frames = laid_out(clips)
    write_frame_pack(tmp_path / "pack", frames, placed, np.ones(2))
    return tmp_path / "pack"


def test_a_part_of_a_pack_has_whole_recordings_and_their_frames(pack, stage, tmp_path, capsys):
    assert stage("thin_pack", "--pack", pack, "--every", 2, "--out", tmp_path / "half") == 0
    assert "29 frames of 2 recordings" in capsys.readouterr().err
    whole, half = FramePack(pack), FramePack(tmp_path / "half")
    assert [clip.name for clip in half.clips] == sorted(c.name for c in whole.clips if c.name[1] in "02")
    of = {clip.name: whole.frames_of(clip) for clip in whole.clips}
    assert all(np.array_equal(half.frames_of(clip), of[clip.name]) for clip in half.clips)
    assert half.frames.shape == (29, 2) and np.array_equal(half.noise, whole.noise)


def test_every_recording_is_the_pack_itself(pack, stage, tmp_path):
    assert stage("thin_pack", "--pack", pack, "--every", 1, "--out", tmp_path / "all") == 0
    for name in ("clips.json", "frames.npy", "noise.npy"):
        assert (tmp_path / "all" / name).read_bytes() == (pack / name).read_bytes()


def test_a_part_of_none_is_one_line(pack, stage, tmp_path, capsys):
    assert stage("thin_pack", "--pack", pack, "--every", 0, "--out", tmp_path / "none") == 2
    assert capsys.readouterr().err.startswith("thin_pack: error: --every 0: want a number from 1 on")


def test_packs_joined_keep_copies_of_one_recording_apart(pack, stage, tmp_path, capsys):
    assert stage("thin_pack", "--pack", pack, "--every", 2, "--out", tmp_path / "half") == 0
    assert stage("join_frames", "--packs", pack, tmp_path / "half", "--out", tmp_path / "both") == 0
    assert "join_frames: " in capsys.readouterr().err
    parts, both = [FramePack(pack), FramePack(tmp_path / "half")], FramePack(tmp_path / "both")
    of = {clip.name: both.frames_of(clip) for clip in both.clips}
    assert len(of) == len(both.clips) == 10 + 6
    for number, part in enumerate(parts):
        for clip in part.clips:
            assert np.array_equal(of[clip.name.replace("@", f"@{number}.")], part.frames_of(clip))
    assert {clip.recording for clip in both.clips} == {"u0", "u1", "u2", "u3"}


def test_packs_of_two_codecs_are_not_joined(pack, stage, tmp_path, capsys):
    other = FramePack(pack)
    write_frame_pack(tmp_path / "other", [np.asarray(other.frames)], other.clips, 2 * other.noise)
    assert stage("join_frames", "--packs", pack, tmp_path / "other", "--out", tmp_path / "both") == 2
    assert "are of two codecs; encode anew" in capsys.readouterr().err and not (tmp_path / "both").exists()


@pytest.fixture
def trainings(tmp_path) -> list[str]:
    """Two trainings: one was validated three times, the other twice and by one loss more."""
    from torch.utils.tensorboard import SummaryWriter

    losses = {"long": {"valid/loss": (3.0, 2.0, 1.5)}, "short": {"valid/loss": (3.0, 2.5), "valid/frame": (1.0, 0.5)}}
    for name, curves in losses.items():
        with SummaryWriter(str(tmp_path / name / "tensorboard")) as writer:
            writer.add_scalar("lm/loss", 9.0, 0)
            for tag, values in curves.items():
                for i, value in enumerate(values):
                    writer.add_scalar(tag, value, 100 * i + 99)
    return [f"{name}={tmp_path / name}" for name in losses]


def test_a_table_of_what_trainings_have_in_common(trainings, stage, tmp_path, capsys):
    assert stage("learning_curves", *trainings, "--at", 100, "--out", tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert text == (tmp_path / "out/curves.md").read_text()
    assert text.splitlines()[0] == "| training | steps | loss |"
    assert text.splitlines()[2:] == [
        "| long | 100 | 3.000 |", "| long | 300 | 1.500 |", "| short | 100 | 3.000 |", "| short | 200 | 2.500 |"
    ]  # fmt: skip
    assert (tmp_path / "out/curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_training_that_was_not_validated_is_one_line(trainings, stage, tmp_path, capsys):
    (tmp_path / "new/tensorboard").mkdir(parents=True)
    assert stage("learning_curves", *trainings, f"new={tmp_path / 'new'}", "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "was not validated yet" in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()
