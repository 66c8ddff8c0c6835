"""A YAML file alone decides how a language model sees its text: the stages are the same for all kinds."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import tiny_aligner, tiny_codec

from latent_tts.data.cloning import CloningConfig
from latent_tts.data.frame_pack import EncodedClip, write_frame_pack
from latent_tts.frames import Sampling
from latent_tts.lm.aligned import AlignedLM, AlignedLMConfig
from latent_tts.lm.latent_lm import LatentLMConfig
from latent_tts.lm.prefix import PrefixLM, PrefixLMConfig
from latent_tts.model_dir import load_lm, save_part
from latent_tts.model_files import SHIPPED
from latent_tts.tts import TTS

pytest.importorskip("lightning")

from latent_tts.train.lm_task import LMTraining  # noqa: E402

ROOT = Path(__file__).parent.parent
SHARED = {"frame_dim": 6, "dim": 16, "layers": 1, "heads": 2, "head_dim": 16, "head_layers": 1}
SIZES = {"latent_lm": SHARED | {"text_dim": 8}, "prefix_lm": {"class_path": "PrefixLMConfig", "init_args": SHARED}}
OPTIONS = ["--fit.accelerator=cpu", "--fit.precision=32-true", "--fit.progress=false", "--fit.log_every=1"]
CONFIGS = [*ROOT.glob("recipes/conf/lm*.yaml"), *ROOT.glob("egs/*/conf/**/lm*.yaml")]


class Settings:
    """What an LMTask is made of."""

    def __init__(
        self,
        lm: LatentLMConfig = AlignedLMConfig(),
        training: LMTraining = LMTraining(),
        cloning: CloningConfig = CloningConfig(),
    ):
        self.lm = lm


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    """Frame packs of a few clips of one speaker."""
    rng, clips = np.random.default_rng(0), []
    for i in range(6):
        phones = tuple(map(int, rng.integers(1, 100, 8 + i)))
        clips.append(EncodedClip("ann", 24 * i, 24, phones, tuple(range(len(phones)))))
    for split in ("train", "valid"):
        frames = [rng.normal(size=(24, 6)) for _ in clips]
        write_frame_pack(tmp_path / "frames" / split, frames, clips, np.full(6, 0.1))
    return tmp_path / "frames"


@pytest.mark.parametrize("kind", SIZES)
def test_a_config_decides(kind, stage, packs, tmp_path):
    """Trained, packed, loaded and heard; the decision's loss is on the dashboard."""
    config, exp, out = tmp_path / "lm.yaml", tmp_path / "exp", tmp_path / "model"
    training = {"steps": 3, "warmup": 1, "batch_frames": 200}
    config.write_text(yaml.safe_dump({"task": {"lm": SIZES[kind], "training": training}}))
    assert stage("train", "lm", "--config", config, "--data", packs, "--exp", exp, *OPTIONS) == 0
    assert stage("pack_model", "lm", "--exp", exp, "--out", out) == 0
    about = yaml.safe_load((out / "config.yaml").read_text())["lm"]
    assert about["kind"] == kind and about.items() >= SHARED.items()
    assert isinstance(load_lm(out), {"latent_lm": AlignedLM, "prefix_lm": PrefixLM}[kind])
    for part, module in {"codec": tiny_codec(), "aligner": tiny_aligner()}.items():
        save_part(out, part, module)
    tts = TTS.from_dir(out)
    voice = tts.clone(np.random.default_rng(0).normal(size=32000) / 9, sample_rate=16000)
    assert len(tts.speak("Hello.", voice, Sampling(steps=1))) >= tts.model.hop_length
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags = set(EventAccumulator(str(exp / "tensorboard")).Reload().Tags()["scalars"])
    decisions = {"latent_lm": "advance", "prefix_lm": "stop"}
    assert {"lm/frame", f"lm/{decisions[kind]}", f"valid/{decisions[kind]}"} <= tags
    assert not {f"lm/{name}" for other, name in decisions.items() if other != kind} & tags


@pytest.fixture
def sizes_in(stage, monkeypatch) -> Callable[[Path], LatentLMConfig]:
    """The sizes of the language model that a file of settings asks for; no model is made."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    from jsonargparse import ArgumentParser

    def parse(path: Path) -> LatentLMConfig:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--config", action="config")
        importlib.import_module("train").add_task(parser, Settings)
        return parser.instantiate(parser.parse_args([f"--config={path}"])).task.lm

    return parse


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_recipes_own(path, sizes_in):
    """Without a class it is a pointer; what is not said is as in the class."""
    settings = yaml.safe_load(path.read_text())["task"]["lm"]
    build = PrefixLMConfig if "prefix" in path.stem else AlignedLMConfig
    assert sizes_in(path) == build(**settings.get("init_args", settings))


@pytest.mark.parametrize(
    "pair",
    [("recipes/conf/lm_nano.yaml", "recipes/conf/lm_prefix.yaml")]
    + [("egs/mini/conf/ablation/lm_aligned.yaml", "egs/mini/conf/ablation/lm_prefix.yaml")],
)
def test_kinds_are_compared_at_equal_budgets(pair, sizes_in):
    """Equal training and, within 3 %, equally many parameters."""
    assert len({yaml.safe_dump(yaml.safe_load((ROOT / path).read_text())["task"]["training"]) for path in pair}) == 1
    one, other = (sum(p.numel() for p in sizes_in(ROOT / path).build().parameters()) for path in pair)
    assert other == pytest.approx(one, rel=0.03)


def test_the_shipped_model_fits_a_run_of_its_settings():
    """Names, and the order in which an optimiser of a checkpoint knows the weights."""
    own, first = load_lm(SHIPPED), ["first", "null", "text.edges", "text.unknown", "text.embedding.weight"]
    names = [name for name, _ in own.named_parameters()]
    assert type(own.config) is AlignedLMConfig and names[:5] == first
    order = "text reference frame begun segment transformer advance chosen condition head".split()
    assert [name for name, _ in own.named_children()] == order
