"""A YAML file alone decides what kind of codec is trained and packed: the stages are the same for all."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny import sound

from latent_tts.codec.bottleneck import SigmaVAEConfig
from latent_tts.codec.residual_vq import RVQConfig
from latent_tts.codec.sizes import CodecConfig
from latent_tts.model_dir import load_codec

pytest.importorskip("lightning")

from latent_tts.train.codec_task import CodecTask, CodecTraining  # noqa: E402
from latent_tts.train.fit import Fit, fit  # noqa: E402

ROOT = Path(__file__).parent.parent
SHARED = {"n_mels": 20, "encoder_dim": 8, "encoder_blocks": 1, "frame_dim": 8, "decoder_dim": 8, "decoder_blocks": 1}
SHARED |= {"frame_rate": 50, "latent_dim": 4}
SIZES = {
    "sigma_vae": SHARED | {"beta": 0.03},
    "rvq": {"class_path": "RVQConfig", "init_args": SHARED | {"codebooks": 2, "codebook_size": 32}},
}
TRAINING = {"steps": 6, "warmup": 2, "batch_size": 4, "adversarial_from": 4, "encoder_until": 3}
TRAINING |= {"crop_seconds": 0.32, "adversarial_crop_seconds": 0.16, "discriminator_channels": 2}
EXACT = ["--fit.accelerator=cpu", "--fit.precision=32-true", "--fit.progress=false", "--fit.log_every=1"]


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    for split in ("train", "valid"):
        folder = tmp_path / "audio" / split
        folder.mkdir(parents=True)
        np.save(folder / "samples.npy", (sound(1, 60000)[0].numpy() * 32767).astype(np.int16))
        about = {"sample_rate": 16000, "spans": {"a": [0, 40000], "b": [40000, 20000]}}
        (folder / "index.json").write_text(json.dumps(about))
    return tmp_path / "audio"


@pytest.fixture
def trained(stage, packs, tmp_path) -> Callable[..., Path]:
    """``trained(codec, *options)`` trains with these settings of ``task.codec`` -> the folder of the run."""

    def train(codec: dict, *options: str) -> Path:
        config, exp = tmp_path / "codec.yaml", tmp_path / "exp"
        config.write_text(yaml.safe_dump({"task": {"codec": codec, "training": TRAINING}}))
        assert stage("train", "codec", "--config", config, "--data", packs, "--exp", exp, *EXACT, *options) == 0
        return exp

    return train


def scalars(exp: Path) -> dict[str, list[float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(exp / "tensorboard")).Reload()
    return {tag: [event.value for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}


@pytest.mark.parametrize("kind", SIZES)
def test_a_config_decides(kind, trained, stage, packs, tmp_path, capsys):
    exp, out = trained(SIZES[kind]), tmp_path / "model"
    assert stage("pack_model", "codec", "--exp", exp, "--out", out, "--measure", packs / "train") == 0
    about = yaml.safe_load((out / "config.yaml").read_text())["codec"]
    assert about["kind"] == kind and all(about[name] == value for name, value in SHARED.items())
    assert not [value for value in about.values() if isinstance(value, dict | list)]
    codec, wav = load_codec(out), sound(1, 8000)[:, None]
    frames = codec.encode(wav)
    assert frames.shape == (1, 25, {"sigma_vae": 4, "rvq": 2}[kind]) and codec.decode(frames).shape == wav.shape
    logged = {tag.removeprefix("codec/") for tag in scalars(exp)}
    wanted = {"sigma_vae": {"snr_db"}, "rvq": {"use_1", "use_2", "perplexity_1", "perplexity_2", "commitment"}}
    assert wanted[kind] <= logged and not logged & wanted["rvq" if kind == "sigma_vae" else "sigma_vae"]
    assert {"sigma_vae": "snr_db", "rvq": "perplexity_2"}[kind] in capsys.readouterr().err


def test_codes_stay_valid_from_where_the_encoder_freezes(trained):
    """The codebooks of step 3 are those of step 6; before they moved."""
    last, books = "checkpoints/last.ckpt", []
    for steps in (2, 3, 6):
        exp = trained(SIZES["rvq"], f"--task.training.steps={steps}")
        saved = torch.load(exp / last, weights_only=True)["state_dict"]
        books.append({k: v for k, v in saved.items() if k.startswith("codec.bottleneck") and "embed" in k})
    assert len(books[0]) == 4
    assert all(torch.equal(books[1][k], books[2][k]) for k in books[0])
    assert not all(torch.equal(books[0][k], books[1][k]) for k in books[0])


def test_a_run_in_two_parts_is_the_unbroken_one(tmp_path):
    """With k-means at the first step and dead entries drawn anew at every other: bit for bit."""
    batches = [sound(4, 5120, seed=step)[:, None] for step in range(6)]
    for folder, counts in (("straight", [6]), ("parts", [2, 6])):
        for count in counts:
            torch.manual_seed(0)
            sizes = RVQConfig(**SHARED, codebooks=2, codebook_size=32, dead_below=0.5)
            task = CodecTask(sizes, CodecTraining(**TRAINING | {"adversarial_from": 6, "encoder_until": 5}))
            options = Fit(accelerator="cpu", precision="32-true", progress=False)
            assert fit(task, batches[:count], batches[:1], tmp_path / folder, options)
    found = [torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True) for name in ("straight", "parts")]
    one, other = (about["state_dict"] for about in found)
    assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


class TestConfigs:
    @pytest.fixture
    def read(self, stage, monkeypatch) -> Callable[..., CodecConfig]:
        """Settings of ``task.codec`` -> the sizes that a task of the recipes gets of them."""
        monkeypatch.syspath_prepend(str(ROOT / "recipes"))
        from jsonargparse import ArgumentParser

        train = importlib.import_module("train")

        def parse(settings: dict, *options: str) -> CodecConfig:
            parser = ArgumentParser(exit_on_error=False)
            train.add_task(parser, train.tasks()["codec"])
            given = [f"--task.codec={json.dumps(settings)}", *options]
            return parser.instantiate(parser.parse_args(given)).task.codec.config

        return parse

    @pytest.mark.parametrize("path", sorted((ROOT / "recipes/conf").glob("codec*.yaml")), ids=lambda path: path.stem)
    def test_the_recipes_own(self, path, read):
        """A shared size of a sigma-VAE needs no class; what is not said is as in the class."""
        settings = yaml.safe_load(path.read_text())["task"]["codec"]
        build = RVQConfig if path.stem == "codec_rvq" else SigmaVAEConfig
        assert read(settings) == build(**settings.get("init_args", settings))

    def test_the_twin_has_the_budget_of_its_sigma_vae(self):
        conf = ROOT / "recipes/conf"
        nano, rvq = (yaml.safe_load((conf / f"codec_{name}.yaml").read_text())["task"] for name in ("nano", "rvq"))
        assert nano["training"] == rvq["training"]
        shared = rvq["codec"]["init_args"]
        assert {**nano["codec"], **shared, "frame_rate": nano["codec"]["frame_rate"]}.items() >= nano["codec"].items()
        assert 50 <= shared["frame_rate"] <= 75 and shared["codebooks"] == 8

    def test_an_option_after_it_overrides(self, read):
        assert read(SIZES["rvq"], "--task.codec.frame_rate=25") == RVQConfig(
            **SHARED | {"frame_rate": 25}, codebooks=2, codebook_size=32
        )
        assert read(SIZES["sigma_vae"], "--task.codec.sigma_std=0.2").beta == 0.03

    @pytest.mark.parametrize(
        "settings",
        [
            {"nonsense": 3},
            {"codebooks": 3},
            {"class_path": "RVQConfig", "init_args": {"beta": 0.1}},
            {"class_path": "VQConfig"},
            {"class_path": "CodecConfig"},
        ],
        ids=str,
    )
    def test_what_it_does_not_know_is_an_error(self, settings, read):
        from jsonargparse import ArgumentError

        with pytest.raises(ArgumentError) as refused:
            read(settings)
        wanted = next(iter(settings.get("init_args", settings)))
        assert settings.get("class_path", wanted) in str(refused.value)
