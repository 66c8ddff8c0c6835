"""A YAML file alone decides how a language model sees its text: the stages are the same for all kinds."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny import WHOLE_KINDS, tiny_aligner, tiny_codec, tiny_whole_lm

from latent_tts.data.cloning import CloningConfig
from latent_tts.data.frame_pack import EncodedClip, write_frame_pack
from latent_tts.errors import UserError
from latent_tts.frames import Sampling
from latent_tts.lm.aligned import AlignedLM, AlignedLMConfig
from latent_tts.lm.dit import DiTLM, DiTLMConfig
from latent_tts.lm.prefix import PrefixLM, PrefixLMConfig
from latent_tts.lm.sizes import LMConfig
from latent_tts.lm.transfusion import TransfusionLM, TransfusionLMConfig
from latent_tts.model_dir import SHIPPED, load_lm, save_part
from latent_tts.text.symbols import SymbolTable
from latent_tts.tts import TTS

pytest.importorskip("lightning")

from latent_tts.train.lm_task import LMTraining  # noqa: E402

ROOT = Path(__file__).parent.parent
SHARED = {"frame_dim": 6, "dim": 16, "layers": 1, "heads": 2}
HEAD = {"head_dim": 16, "head_layers": 1}
SIZES = {
    "latent_lm": SHARED | HEAD | {"text_dim": 8},
    "prefix_lm": {"class_path": "PrefixLMConfig", "init_args": SHARED | HEAD},
    "transfusion_lm": {"class_path": "TransfusionLMConfig", "init_args": SHARED},
    "dit_lm": {"class_path": "DiTLMConfig", "init_args": SHARED | {"text_dim": 8}},
}
CLASSES = {"latent_lm": AlignedLM, "prefix_lm": PrefixLM, "transfusion_lm": TransfusionLM, "dit_lm": DiTLM}
BESIDE = {"latent_lm": "advance", "prefix_lm": "stop", "transfusion_lm": "length", "dit_lm": "duration"}  # its losses
BUILDS = {"prefix": PrefixLMConfig, "transfusion": TransfusionLMConfig, "dit": DiTLMConfig}  # by the file's name
OPTIONS = ["--fit.accelerator=cpu", "--fit.precision=32-true", "--fit.progress=false", "--fit.log_every=1"]
CONFIGS = [*ROOT.glob("recipes/conf/lm*.yaml"), *ROOT.glob("egs/*/conf/**/lm*.yaml")]


class Settings:
    """What an LMTask is made of."""

    def __init__(
        self,
        lm: LMConfig = AlignedLMConfig(),
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
    assert isinstance(load_lm(out), CLASSES[kind])
    for part, module in {"codec": tiny_codec(), "aligner": tiny_aligner()}.items():
        save_part(out, part, module)
    tts = TTS.from_dir(out)
    voice = tts.clone(np.random.default_rng(0).normal(size=32000) / 9, sample_rate=16000)
    assert len(tts.speak("Hello.", voice, Sampling(steps=1))) >= tts.codec.hop_length
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags = set(EventAccumulator(str(exp / "tensorboard")).Reload().Tags()["scalars"])
    assert {"lm/frame", f"lm/{BESIDE[kind]}", f"valid/{BESIDE[kind]}"} <= tags
    assert not {f"lm/{name}" for other, name in BESIDE.items() if other != kind} & tags


@pytest.mark.parametrize("kind", WHOLE_KINDS)
def test_utterances_that_are_made_whole_are_spoken(kind, tmp_path, monkeypatch):
    """As any other, by torch whatever is asked for; alone as in a batch; with times where they are known."""
    for part, module in {"codec": tiny_codec(), "lm": tiny_whole_lm(kind), "aligner": tiny_aligner()}.items():
        save_part(tmp_path, part, module)
    SymbolTable.english().write(tmp_path / "phones.txt")
    monkeypatch.setattr("latent_tts.tts.choose_engine", lambda engine, device: "onnx")
    tts = TTS.from_dir(tmp_path, engine="onnx")
    assert tts.engine == "torch"
    voice = tts.clone(np.random.default_rng(0).normal(size=32000) / 9, sample_rate=16000)
    texts, sampling = ["Hello there you all.", "No."], Sampling(seed=1, steps=2)
    together = tts.speak_batch(texts, [voice, voice], sampling)
    for text, wav in zip(texts, together):
        alone = tts.speak(text, voice, sampling)
        assert alone.shape == wav.shape and torch.allclose(alone, wav, atol=1e-4) and wav.abs().max() > 1e-3
    assert len(together[0]) > len(tts.speak(texts[0], voice, replace(sampling, speed=2))) > 0
    if kind == "dit_lm":
        assert [word.label for word in tts.timed(texts[0], voice, sampling).words] == texts[0].strip(".").split()
    else:
        with pytest.raises(UserError, match="does not know when"):
            tts.timed(texts[0], voice, sampling)


@pytest.fixture
def sizes_in(stage, monkeypatch) -> Callable[[Path], LMConfig]:
    """The sizes of the language model that a file of settings asks for; no model is made."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    from jsonargparse import ArgumentParser

    def parse(path: Path) -> LMConfig:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--config", action="config")
        importlib.import_module("train").add_task(parser, Settings)
        return parser.instantiate(parser.parse_args([f"--config={path}"])).task.lm

    return parse


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_recipes_own(path, sizes_in):
    """Without a class it is a pointer; what is not said is as in the class."""
    settings = yaml.safe_load(path.read_text())["task"]["lm"]
    build = BUILDS.get(path.stem.split("_")[-1], AlignedLMConfig)
    assert sizes_in(path) == build(**settings.get("init_args", settings))


@pytest.mark.parametrize(
    "pair",
    [("recipes/conf/lm_nano.yaml", "recipes/conf/lm_prefix.yaml")]
    + [("egs/mini/conf/ablation/lm_aligned.yaml", f"egs/mini/conf/ablation/lm_{k}.yaml") for k in BUILDS],
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
