"""A YAML file alone decides how a language model sees its text: the stages are the same for all kinds."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import WHOLE_KINDS, tiny_aligner, tiny_codec, tiny_frame_pack, tiny_whole_lm

from latent_tts.data.cloning import CloningConfig
from latent_tts.errors import UserError
from latent_tts.frames import Sampling
from latent_tts.lm.aligned import AlignedLM, AlignedLMConfig
from latent_tts.lm.dit import DiTLM, DiTLMConfig
from latent_tts.lm.latent_lm import LatentLM
from latent_tts.lm.prefix import PrefixLM, PrefixLMConfig
from latent_tts.lm.sizes import LMConfig
from latent_tts.lm.transfusion import TransfusionLM, TransfusionLMConfig
from latent_tts.lm.valle import ValleLM, ValleLMConfig
from latent_tts.model_dir import KINDS, load_lm, save_part
from latent_tts.model_files import SHIPPED, STEPPING
from latent_tts.text.symbols import SymbolTable
from latent_tts.tts import TTS

pytest.importorskip("lightning")

from latent_tts.train.lm_task import LMTraining  # noqa: E402

ROOT = Path(__file__).parent.parent
SHARED = {"frame_dim": 6, "dim": 16, "layers": 1, "heads": 2}
HEAD = {"head_dim": 16, "head_layers": 1}
VALLE = {"codebooks": 3, "entries": 32, "dim": 16, "layers": 1, "nar_layers": 1, "heads": 2}
SIZES = {
    "latent_lm": SHARED | HEAD | {"text_dim": 8},
    "prefix_lm": {"class_path": "PrefixLMConfig", "init_args": SHARED | HEAD},
    "valle_lm": {"class_path": "ValleLMConfig", "init_args": VALLE},
    "transfusion_lm": {"class_path": "TransfusionLMConfig", "init_args": SHARED},
    "dit_lm": {"class_path": "DiTLMConfig", "init_args": SHARED | {"text_dim": 8}},
}
CLASSES = {
    "latent_lm": AlignedLM,
    "prefix_lm": PrefixLM,
    "valle_lm": ValleLM,
    "transfusion_lm": TransfusionLM,
    "dit_lm": DiTLM,
}
TERMS = {  # the parts of a kind's loss
    "latent_lm": {"frame", "advance"},
    "prefix_lm": {"frame", "stop"},
    "valle_lm": {"ar", "nar"},
    "transfusion_lm": {"frame", "length"},
    "dit_lm": {"frame", "duration"},
}
CODEC = {kind: "rvq" if kind == "valle_lm" else "sigma_vae" for kind in SIZES}
BUILDS = {  # by the file's name
    "prefix": PrefixLMConfig,
    "valle": ValleLMConfig,
    "transfusion": TransfusionLMConfig,
    "dit": DiTLMConfig,
}
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
def packs(tmp_path: Path) -> Callable[[str], Path]:
    """``packs(codec)``: frame packs of a few clips of one speaker, as a codec of that kind leaves them."""

    def make(codec: str) -> Path:
        for split in ("train", "valid"):
            tiny_frame_pack(tmp_path / codec / split, "aaaaaa", coded=codec == "rvq")
        return tmp_path / codec

    return make


@pytest.mark.parametrize("kind", SIZES)
def test_a_config_decides(kind, stage, packs, tmp_path):
    """Trained, packed, loaded and heard; the decision's loss is on the dashboard."""
    config, exp, out = tmp_path / "lm.yaml", tmp_path / "exp", tmp_path / "model"
    training = {"steps": 3, "warmup": 1, "batch_frames": 200}
    config.write_text(yaml.safe_dump({"task": {"lm": SIZES[kind], "training": training}}))
    assert stage("train", "lm", "--config", config, "--data", packs(CODEC[kind]), "--exp", exp, *OPTIONS) == 0
    assert stage("pack_model", "lm", "--exp", exp, "--out", out) == 0
    about = yaml.safe_load((out / "config.yaml").read_text())["lm"]
    assert about["kind"] == kind and about.items() >= SIZES[kind].get("init_args", SHARED).items()
    assert isinstance(load_lm(out), CLASSES[kind])
    for part, module in {"codec": tiny_codec(kind=CODEC[kind]), "aligner": tiny_aligner()}.items():
        save_part(out, part, module)
    tts = TTS.from_dir(out)
    voice = tts.clone(np.random.default_rng(0).normal(size=32000) / 9, sample_rate=16000)
    assert len(tts.speak("Hello.", voice, Sampling(steps=1))) >= tts.model.hop_length
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags = set(EventAccumulator(str(exp / "tensorboard")).Reload().Tags()["scalars"])
    assert {f"{part}/{name}" for part in ("lm", "valid") for name in TERMS[kind]} <= tags
    assert not {f"lm/{name}" for name in set.union(*TERMS.values()) - TERMS[kind]} & tags


@pytest.fixture
def trained(stage, packs, tmp_path, capsys) -> Callable[[str], Path]:
    """``trained(kind)``: the folder of a training of one step on ``packs``."""

    def train(kind: str) -> Path:
        config, exp = tmp_path / f"{kind}.yaml", tmp_path / f"exp_{kind}"
        training = {"steps": 1, "warmup": 1, "batch_frames": 200}
        config.write_text(yaml.safe_dump({"task": {"lm": SIZES[kind], "training": training}}))
        assert stage("train", "lm", "--config", config, "--data", packs(CODEC[kind]), "--exp", exp, *OPTIONS) == 0
        capsys.readouterr()
        return exp

    return train


@pytest.mark.parametrize("kind", ["prefix_lm", "transfusion_lm", "valle_lm"])
def test_what_the_text_of_another_costs(kind, stage, trained, packs, capsys):
    """A model that sees its text finds another loss with another's; its own is that of the batches as they are."""
    exp, data = trained(kind), packs(CODEC[kind])
    assert stage("heed_text", "--exp", exp, "--data", data) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["loss", "own text", "another's", "more"]
    assert {row[0] for row in rows[2:]} == {"loss"} | TERMS[kind]
    figures = {name: [float(value) for value in values] for name, *values in rows[2:]}
    for own, other, more in figures.values():
        assert more == pytest.approx(other - own, abs=2e-4)
    assert figures["loss"][2] != 0


@pytest.mark.parametrize("kind", ["latent_lm", "dit_lm"])
def test_texts_of_known_times_are_not_exchanged(kind, stage, trained, packs, capsys):
    assert stage("heed_text", "--exp", trained(kind), "--data", packs(CODEC[kind])) == 2
    assert "so texts cannot be exchanged" in capsys.readouterr().err


@pytest.mark.parametrize("kind", SIZES)
def test_frames_of_another_codec_are_refused_before_training(kind, stage, packs, tmp_path, capsys):
    """In one line that names both, and nothing is left behind."""
    config, exp = tmp_path / "lm.yaml", tmp_path / "exp"
    config.write_text(yaml.safe_dump({"task": {"lm": SIZES[kind]}}))
    other = {"sigma_vae": "rvq", "rvq": "sigma_vae"}[CODEC[kind]]
    assert stage("train", "lm", "--config", config, "--data", packs(other), "--exp", exp, *OPTIONS) == 2
    formats = {"sigma_vae": "frames of 6 floats", "rvq": "frames of 3 codes of 32"}
    (said,) = capsys.readouterr().err.splitlines()
    assert f"{other}/train holds {formats[other]}, lm is {kind} with {formats[CODEC[kind]]}; give" in said
    assert not exp.exists()


def test_the_onnx_engine_leaves_valle_to_torch(tmp_path, monkeypatch):
    """Also where it is asked for by name."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    parts = {"codec": tiny_codec(kind="rvq"), "lm": ValleLMConfig(**VALLE).build(), "aligner": tiny_aligner()}
    for part, module in parts.items():
        save_part(tmp_path, part, module)
    SymbolTable.english().write(tmp_path / "phones.txt")
    monkeypatch.setenv("LATENT_TTS_ENGINE", "auto")
    assert [TTS.from_dir(tmp_path, engine=engine).engine for engine in ("auto", "onnx")] == ["torch", "torch"]


@pytest.mark.parametrize("kind", WHOLE_KINDS)
def test_utterances_that_are_made_whole_are_spoken(kind, tmp_path, monkeypatch):
    """As any other, by torch whatever is asked for; alone as in a batch; with times where they are known."""
    for part, module in {"codec": tiny_codec(), "lm": tiny_whole_lm(kind), "aligner": tiny_aligner()}.items():
        save_part(tmp_path, part, module)
    SymbolTable.english().write(tmp_path / "phones.txt")
    monkeypatch.setattr("latent_tts.engine.choice.choose_engine", lambda engine, device: "onnx")
    tts = TTS.from_dir(tmp_path, engine="onnx")
    assert tts.engine == "torch"
    voice = tts.clone(np.random.default_rng(0).normal(size=32000) / 9, sample_rate=16000)
    texts, sampling = ["Hello there you all.", "No."], Sampling(seed=1, steps=2)
    together = tts.speak_batch(texts, [voice, voice], sampling)
    for text, wav in zip(texts, together):
        alone = tts.speak(text, voice, sampling)
        assert alone.shape == wav.shape and np.allclose(alone, wav, atol=1e-4) and np.abs(wav).max() > 1e-3
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
    build = BUILDS.get(path.stem.removesuffix("_beside").split("_")[-1], AlignedLMConfig)
    assert sizes_in(path) == build(**settings.get("init_args", settings))


@pytest.mark.parametrize(
    "pair",
    [("recipes/conf/lm_nano.yaml", "recipes/conf/lm_prefix.yaml")]
    + [
        ("egs/mini/conf/ablation/lm_aligned.yaml", f"egs/mini/conf/ablation/lm_{kind}.yaml")
        for kind in sorted(BUILDS.keys() - {"valle"})
    ],
)
def test_kinds_are_compared_at_equal_budgets(pair, sizes_in):
    """Equal training and, within 3 %, equally many parameters."""
    assert len({yaml.safe_dump(yaml.safe_load((ROOT / path).read_text())["task"]["training"]) for path in pair}) == 1
    one, other = (sum(p.numel() for p in sizes_in(ROOT / path).build().parameters()) for path in pair)
    assert other == pytest.approx(one, rel=0.03)


@pytest.mark.parametrize("folder", ["recipes/conf", "egs/mini/conf/ablation"])
def test_codes_are_compared_at_equal_budgets(folder, sizes_in):
    """As many parameters within 3 %, as many steps, batches of as many seconds: 50 frames each instead of 12.5."""
    read = {path.stem: yaml.safe_load(path.read_text())["task"] for path in (ROOT / folder).glob("lm_*.yaml")}
    valle, prefix = read["lm_valle"], read["lm_prefix"]
    assert valle["training"] == prefix["training"] | {"batch_frames": 4 * prefix["training"]["batch_frames"]}
    references, own = CloningConfig(), CloningConfig(**valle["cloning"])
    assert (own.shortest, own.longest, own.trim) == tuple(
        4 * count for count in (references.shortest, references.longest, references.trim)
    )
    one, other = (
        sum(p.numel() for p in sizes_in(ROOT / folder / f"{name}.yaml").build().parameters())
        for name in ("lm_prefix", "lm_valle")
    )
    assert other == pytest.approx(one, rel=0.03)


@pytest.mark.parametrize("rate", [6.25, 25])
def test_frame_rates_are_compared_at_equal_budgets(rate):
    """As many steps, batches and references of as many seconds, as many floats a second, and else the same."""
    paths = ("ablation/base", f"ablation/rate_{rate:g}", "ablation/lm_aligned", f"frames/lm_rate_{rate:g}")
    base, codec, lm, own = (yaml.safe_load((ROOT / f"egs/mini/conf/{path}.yaml").read_text())["task"] for path in paths)
    more, floats = rate / base["codec"]["frame_rate"], codec["codec"]["latent_dim"]
    assert codec["codec"]["frame_rate"] == rate and floats * rate == 12.5 * base["codec"]["latent_dim"]
    assert own["lm"] == lm["lm"] | {"frame_dim": floats}
    assert own["training"] == lm["training"] | {"batch_frames": more * lm["training"]["batch_frames"]}
    references = CloningConfig()
    for name in ("shortest", "longest", "trim"):
        assert own["cloning"][name] == pytest.approx(more * getattr(references, name), abs=0.5)


def test_the_shipped_model_fits_a_run_of_its_settings():
    """Names, and the order in which an optimiser of a checkpoint knows the weights."""
    own, first = load_lm(SHIPPED), ["first", "null", "text.edges", "text.unknown", "text.embedding.weight"]
    names = [name for name, _ in own.named_parameters()]
    assert type(own.config) is AlignedLMConfig and names[:5] == first
    order = "text reference frame begun segment transformer advance chosen condition head".split()
    assert [name for name, _ in own.named_children()] == order


def test_kinds_that_run_as_graphs_are_those_of_a_latent_lm():
    """Named where nothing imports torch, so here that is held against the classes."""
    assert set(STEPPING) == {kind for kind, (build, _) in KINDS["lm"].items() if issubclass(build, LatentLM)}
