"""What recipes/hold_voice.py finds in three voices, by the shipped model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_codec, tiny_frame_pack, tiny_valle

from latent_tts import audio
from latent_tts.data.frame_pack import EncodedClip, write_frame_pack
from latent_tts.model_dir import load_codec, save_part

REFERENCES = Path(__file__).parent.parent / "egs/nano/trials/references"


@pytest.fixture(scope="module")
def packs(tmp_path_factory, model_folder: Path) -> Path:
    """Three readers of LibriSpeech, two clips of 26 frames each."""
    codec, clips, frames = load_codec(model_folder), [], []
    for path in sorted(REFERENCES.glob("*.flac"))[:3]:
        wav, _ = audio.read_reference(path, codec.sample_rate)
        with torch.inference_mode():
            sound = torch.from_numpy(audio.condition_reference(wav, codec.sample_rate))[None, None]
            halves = codec.encode(sound)[0, :52].numpy().reshape(2, 26, -1)
        for half in halves:
            phones, name = tuple(range(10, 30)), f"{path.stem}@{len(clips)}"
            clips.append(EncodedClip(path.stem, 26 * len(clips), 26, phones, tuple(range(20)), name))
            frames.append(half)
    folder = tmp_path_factory.mktemp("packs")
    write_frame_pack(folder / "valid", frames, clips, np.zeros(frames[0].shape[1], np.float32))
    return folder


def test_what_is_recorded_and_what_is_strange(packs, stage, capsys):
    """A recording is like its own voice; moved to a stranger's it is less so, and has come nearer to that one. Behind
    either of the others a recorded frame is harder to tell than behind recorded ones."""
    pytest.importorskip("resemblyzer")
    assert stage("hold_voice", "--data", packs, "--batches", 1) == 0
    tables = capsys.readouterr().out.split("\n\n")
    told, lost = ([line.strip("| ").split(" | ") for line in table.splitlines()] for table in tables)
    head, _, *rows = told
    assert head == ["n", "like the reference", "like the stranger"]
    figures = {name: [float(cell.split()[0]) for cell in cells] for name, *cells in rows}
    assert list(figures) == ["recorded", "taught", "free", "strange", "taught, strange"]
    assert len({count for count, *_ in figures.values()}) == 1
    own = {name: likeness for name, (_, likeness, _) in figures.items()}
    assert max(own, key=own.get) == "recorded"
    nearer = {name: stranger - likeness for name, (_, likeness, stranger) in figures.items()}
    assert nearer["strange"] > nearer["recorded"] + 0.05
    losses = {name: float(loss) for name, loss in lost[2:]}
    assert list(losses) == ["recorded", "strange", "its own"]
    assert losses["recorded"] < losses["strange"] and losses["recorded"] + 0.05 < losses["its own"]


def test_what_it_cannot_hear(tmp_path, stage, capsys):
    """A model of codes, and frames of another codec, are refused in a line."""
    for part, module in {"codec": tiny_codec(kind="rvq"), "lm": tiny_valle()}.items():
        save_part(tmp_path / "codes", part, module)
    tiny_frame_pack(tmp_path / "packs/valid")
    assert stage("hold_voice", "--model", tmp_path / "codes", "--data", tmp_path / "packs") == 2
    assert "does not draw frames one after another" in capsys.readouterr().err
    assert stage("hold_voice", "--data", tmp_path / "packs") == 2
    assert "holds frames of 6 floats, lm is latent_lm with frames of 64 floats" in capsys.readouterr().err
