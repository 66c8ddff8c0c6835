"""A new head on a frozen language model: the trunk stays, the head learns, a model directory comes out."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import LATENT_DIM, LM_KINDS, tiny_lm, utterance

from latent_tts.data.frame_pack import EncodedClip, write_frame_pack
from latent_tts.errors import UserError
from latent_tts.frames import Sampling, stack
from latent_tts.lm.heads import HEADS
from latent_tts.lm.latent_lm import LatentLM
from latent_tts.model_dir import load_lm, save_part

pytest.importorskip("lightning")

from latent_tts.train.fit import Fit, fit  # noqa: E402
from latent_tts.train.head_task import HeadTask, HeadTraining  # noqa: E402

RECIPES = Path(__file__).parents[2] / "recipes"
EXACT = Fit(accelerator="cpu", precision="32-true", progress=False, log_every=1)
BRIEFLY = HeadTraining(steps=4, warmup=1, ema=0.5)


def head_task(model: LatentLM, training: HeadTraining = BRIEFLY, **sizes: object) -> HeadTask:
    task = HeadTask(tiny_lm(seed=1, **sizes).config, training)
    task.take_trunk(model)
    return task


def batches(count: int = 4) -> list:
    return [stack([utterance(5, 12, 4, 2, seed=i), utterance(3, 9, seed=i + 100)]) for i in range(count)]


def moved(model: LatentLM, other: LatentLM) -> set[str]:
    """Parts of ``model`` of which a weight is not the same in ``other``."""
    theirs = other.state_dict()
    return {k.split(".")[0] for k, v in model.state_dict().items() if k in theirs and not torch.equal(v, theirs[k])}


@pytest.mark.parametrize("condition", [False, True])
@pytest.mark.parametrize("kind", HEADS)
def test_only_the_head_learns(kind, condition, tmp_path):
    """Bit for bit, in the network and in its average, through optimiser, weight decay and averaging."""
    model = tiny_lm(dropout=0.5)
    task = head_task(model, HeadTraining(steps=4, warmup=1, ema=0.5, condition=condition), head=kind, dropout=0.5)
    fresh = {k: v.clone() for k, v in task.lm.head.state_dict().items()}
    assert fit(task, batches(), batches(1), tmp_path, EXACT)
    for network in (task.lm, task.average.module):
        assert moved(network, model) - {"head"} == ({"condition"} if condition else set())
        assert all(not torch.equal(v, fresh[k]) for k, v in network.head.state_dict().items() if "weight" in k)
    logged = task.trainer.logged_metrics
    assert {"head/frame", "valid/frame", "valid/energy_1_steps", "valid/energy_10_steps"} <= logged.keys()
    assert all(torch.isfinite(value) for value in logged.values())


def test_the_trunk_has_no_dropout():
    """A head learns under the conditions that it will meet: the same in every pass."""
    task = head_task(tiny_lm(dropout=0.5), dropout=0.5).train()
    (row,) = batches(1)
    assert torch.equal(task.lm.learnt(row)[1], task.lm.learnt(row)[1]) and task.training


def test_a_new_head_may_see_the_frame_before(tmp_path):
    """Its projection is new as well, and learns."""
    task = head_task(tiny_lm(), previous_frame=True)
    fresh = task.lm.previous.weight.clone()
    fit(task, batches(), batches(1), tmp_path, EXACT)
    assert not torch.equal(task.lm.previous.weight, fresh) and moved(task.lm, tiny_lm()) == {"head"}


@pytest.mark.parametrize("sizes", [{"dim": 16}, {"heads": 4}, {"text_dim": 8}])
def test_a_trunk_of_another_size_is_refused(sizes):
    with pytest.raises(UserError, match=f"lm.{next(iter(sizes))} is .*only the head is new"):
        head_task(tiny_lm(), **sizes)


def write_frames(folder: Path) -> Path:
    """Frame packs to train on and to validate with: one speaker, four clips."""
    frames = [np.random.default_rng(i).standard_normal((20, LATENT_DIM)) for i in range(4)]
    clips = [EncodedClip("a", 20 * i, 20, tuple(range(1, 8)), tuple(range(0, 14, 2))) for i in range(4)]
    for split in ("train", "valid"):
        write_frame_pack(folder / split, frames, clips, np.full(LATENT_DIM, 0.1))
    return folder


@pytest.mark.parametrize("kind", LM_KINDS)
def test_from_a_model_directory_to_another(kind, tmp_path, monkeypatch, capsys):
    """train.py and pack_model.py: the trunk's kind and sizes come from --init, the head's from settings."""
    monkeypatch.syspath_prepend(str(RECIPES))
    train, pack = (importlib.import_module(name).main for name in ("train", "pack_model"))
    save_part(tmp_path / "init", "lm", tiny_lm(kind=kind, heads=4))
    config = tmp_path / "head.yaml"
    config.write_text("task: {lm: {head: energy}}")
    exp, out = tmp_path / "exp", tmp_path / "out"
    new = ["--config", str(config), "--task.lm.head_dim=16", "--task.training.steps=2", "--task.training.warmup=1"]
    how = ["--fit.accelerator=cpu", "--fit.progress=false", "--data", str(write_frames(tmp_path)), "--exp", str(exp)]
    assert train(["head", *how, *new]) == 2 and "a head needs --init" in capsys.readouterr().err
    assert train(["head", *how, *new, "--init", str(tmp_path / "init")]) == 0 and (exp / "train.done").exists()
    assert pack(["head", "--exp", str(exp), "--out", str(out)]) == 0
    before, lm = load_lm(tmp_path / "init"), load_lm(out)
    assert (lm.config.head, lm.config.head_dim, lm.config.heads) == ("energy", 16, 4)
    assert {p.name for p in out.iterdir()} == {"config.yaml", "lm.safetensors", "phones.txt"}
    assert moved(lm, before) - {"head"} == set()
    assert next(lm.generate(utterance(5, 0), Sampling())).frames.shape == (1, 1, LATENT_DIM)
