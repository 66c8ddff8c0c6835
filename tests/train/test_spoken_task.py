"""A decoder that also learns from what a language model has spoken, and the frames for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import LATENT_DIM, sound, tiny_codec, tiny_frame_pack

from latent_tts.data.audio_pack import pack_audio
from latent_tts.data.frame_crops import FrameCrops
from latent_tts.data.frame_pack import FramePack
from latent_tts.data.kaldi import Entry, write_data_dir
from latent_tts.errors import UserError
from latent_tts.model_dir import load_codec, save_part
from latent_tts.train.spoken_task import SpokenTask, SpokenTraining

SIZES = {"steps": 3, "adversarial_batch_size": 2, "spoken_rows": 3, "adversarial_crop_seconds": 0.64}
LIGHT = SIZES | {"discriminator_channels": 2, "discriminator_periods": (2,), "discriminator_windows": (512,)}

ALONE = {name: value for name, value in LIGHT.items() if name != "spoken_rows"} | {"adversarial_from": 0}


@pytest.fixture
def voices(tmp_path: Path, sound_file, syllables) -> Path:
    """A data directory of two recordings."""
    sounds = {name: sound_file(f"{name}.wav", syllables(3.0)) for name in ("a-1", "b-1")}
    write_data_dir(tmp_path / "voices", [Entry(name, name[0], path, "Ba ba.", 3.0) for name, path in sounds.items()])
    return tmp_path / "voices"


@pytest.fixture
def data(tmp_path: Path, voices: Path) -> Path:
    """Audio packs."""
    for split in ("train", "valid"):
        pack_audio(voices, tmp_path / "data" / split, 16000)
    return tmp_path / "data"


def settings(**training: object) -> list[object]:
    """Options of a small codec's training."""
    options: list[object] = ["--fit.progress", "false", "--task.codec", "SigmaVAEConfig"]
    for name, value in vars(tiny_codec().config).items():
        options += [f"--task.codec.{name}", value]
    for name, value in training.items():
        options += [f"--task.training.{name}", list(value) if isinstance(value, tuple) else value]
    return options


def discriminators(exp: Path) -> dict[str, torch.Tensor]:
    """Those of a run's last checkpoint."""
    saved = torch.load(exp / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return {name: value for name, value in saved.items() if name.startswith("discriminators.")}


def test_crops_hang_on_their_step_alone(tmp_path):
    """However many processes share them; each is a piece of a clip that is long enough."""
    pack = FramePack(tiny_frame_pack(tmp_path))
    crops = FrameCrops(pack, 5, 20, 3, seed=1)
    whole = crops[1]
    assert whole.shape == (5, 20, LATENT_DIM) and whole.dtype == np.float32 and len(crops) == 3
    assert np.array_equal(whole[1::2], crops.share(1, 1, 2)) and not np.array_equal(whole, crops[2])
    pieces = [pack.frames_of(c)[i : i + 20] for c in pack.clips for i in range(c.count - 19)]
    assert all(any(np.array_equal(row, piece) for piece in pieces) for row in whole)
    with pytest.raises(UserError, match="holds no clip of 99 frames; give longer ones, or crop less"):
        FrameCrops(pack, 5, 99, 3)


def test_judges_hear_what_was_spoken_and_features_are_of_recordings(tmp_path):
    """Rows of spoken frames change what discriminators think and not how far features are from the recordings'."""
    tiny_frame_pack(tmp_path)
    task = SpokenTask(tmp_path, tiny_codec().config, SpokenTraining(**LIGHT))
    wav = sound(2, 10240)
    task.made, task.said = (sound(2, 10240, 1)[:, None], None, {}), sound(3, 10240, 2)
    told, alone = task._judged(wav), super(SpokenTask, task).sounds()
    assert task.sounds().shape == (5, 10240) and torch.equal(task.sounds()[:2], alone)
    task.said = 3 * task.said.flip(0) + 0.1
    other = task._judged(wav)
    assert torch.equal(told["feature"], other["feature"]) and told["adversarial"] != other["adversarial"]


def test_a_decoder_learns_from_it_and_its_encoder_does_not(tmp_path, data, stage, capsys):
    save_part(tmp_path / "model", "codec", tiny_codec())
    tiny_frame_pack(tmp_path / "spoken")
    where = ["--data", data, "--init", tmp_path / "model", "--task.spoken", tmp_path / "spoken"]
    assert stage("train", "spoken", *where, "--exp", tmp_path / "exp", *settings(**LIGHT)) == 0, capsys.readouterr().err
    assert stage("pack_model", "spoken", "--exp", tmp_path / "exp", "--out", tmp_path / "out") == 0
    before, after = (load_codec(tmp_path / name).state_dict() for name in ("model", "out"))
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"decoder"}


@pytest.fixture
def first(tmp_path: Path, data: Path, stage, capsys) -> Path:
    """A run that brought up discriminators."""
    exp = tmp_path / "first"
    assert stage("train", "codec", "--data", data, "--exp", exp, *settings(**ALONE)) == 0, capsys.readouterr().err
    return exp


@pytest.mark.parametrize("part", ["codec", "spoken"])
def test_a_new_run_begins_with_the_discriminators_of_another(part, tmp_path, data, first, stage, capsys):
    tiny_frame_pack(tmp_path / "spoken")
    spoken = ["--task.spoken", tmp_path / "spoken"] if part == "spoken" else []
    options = [part, "--data", data, "--exp", tmp_path / part, *spoken, *settings(**ALONE, discriminator_lr=0)]
    assert stage("train", *options, "--judges", first) == 0, capsys.readouterr().err
    known, kept = discriminators(first), discriminators(tmp_path / part)
    assert known and known.keys() == kept.keys() and all(torch.equal(known[name], kept[name]) for name in known)
    assert stage("train", *options, "--judges", tmp_path / "nowhere") == 0  # a resumed run has its own


def test_discriminators_of_another_kind_are_refused(tmp_path, data, first, stage, capsys):
    options = ["codec", "--data", data, "--exp", tmp_path / "exp", *settings(**ALONE), "--judges"]
    assert stage("train", *options, tmp_path / "nowhere") == 2
    assert "nowhere holds no checkpoint; give the folder of a codec's training run" in capsys.readouterr().err
    for name, value in (("discriminator_periods", []), ("discriminator_windows", [128])):
        assert stage("train", *options, first, f"--task.training.{name}", value) == 2
        assert "was trained with other discriminators; say here what is set in its config" in capsys.readouterr().err


def test_what_does_not_fit_is_refused(tmp_path, data):
    with pytest.raises(UserError, match="want encoder_until 0, adversarial_from 0 and recorded false"):
        SpokenTask(tmp_path, training=SpokenTraining(encoder_until=5))
    tiny_frame_pack(tmp_path / "codes", coded=True)
    with pytest.raises(UserError, match="the codec's are of 6 floats; give what a language model of this codec has"):
        SpokenTask(tmp_path / "codes", tiny_codec().config, SpokenTraining(**LIGHT)).datasets(data)


def test_frames_that_a_model_speaks(tmp_path, stage, voices, capsys):
    """A sentence a clip, each in the voice of another recording, in two parts as in one."""
    from tiny import tiny_model

    model = tiny_model(tmp_path / "model")
    (tmp_path / "list.txt").write_text("Hello there.\n\nHow are you today?\nNo.\n")
    given = ["--model", model, "--references", voices, "--sentences", tmp_path / "list.txt", "--engine", "torch"]
    assert stage("speak_frames", *given, "--out", tmp_path / "whole", "--threads", 1) == 0, capsys.readouterr().err
    pack = FramePack(tmp_path / "whole")
    assert len(pack.clips) == 3 and pack.frame_format.width == LATENT_DIM
    assert {clip.recording for clip in pack.clips} == {"a-1", "b-1"}
    for clip in pack.clips:
        assert len(clip.phones) == len(clip.starts) > 0 and 0 <= min(clip.starts) <= max(clip.starts) < clip.count
    for part in ("1/2", "2/2"):
        assert stage("speak_frames", *given, "--out", tmp_path / "parts", "--threads", 1, "--part", part) == 0
    assert stage("speak_frames", *given, "--out", tmp_path / "parts", "--merge", 2) == 0
    for name in ("frames.npy", "noise.npy", "clips.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    (tmp_path / "list.txt").write_text("\n")
    assert stage("speak_frames", *given, "--out", tmp_path / "none") == 2
    assert capsys.readouterr().err.endswith("is empty; give sentences and voices to say them\n")
