"""A run with patience ends where validation gets no better, and keeps the best it had."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import LATENT_DIM, utterance

from latent_tts.frames import stack
from latent_tts.lm.aligned import AlignedLMConfig

pytest.importorskip("lightning")

from latent_tts.train.fit import Fit, fit  # noqa: E402
from latent_tts.train.lm_task import LMTask, LMTraining  # noqa: E402

LM = AlignedLMConfig(frame_dim=LATENT_DIM, text_dim=8, dim=16, layers=1, heads=2, head_dim=16, head_layers=1, draws=2)
PATIENT = Fit(accelerator="cpu", precision="32-true", progress=False, validate_every=2, patience=2)


class Lesson(torch.utils.data.Dataset):
    """The same batch ``count`` times."""

    def __init__(self, count: int):
        self.batch, self.count = stack([utterance(5, 12, 4, 2, seed=0), utterance(3, 9, seed=1)]), count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, step: int):
        return self.batch


def run(folder: Path, lr: float, steps: int = 12) -> tuple[LMTask, bool]:
    torch.manual_seed(0)
    task = LMTask(LM, LMTraining(steps=steps, lr=lr, warmup=1, ema=0.0))
    return task, fit(task, Lesson(steps), Lesson(1), folder, PATIENT)


def best(folder: Path) -> int:
    return int(torch.load(folder / "checkpoints/best.ckpt", weights_only=True)["state_dict"]["step"])


def test_what_gets_worse_ends_and_its_beginning_is_kept(tmp_path, capsys):
    task, done = run(tmp_path, lr=0.3)
    assert done and int(task.step) == 4, "two validations without a lower loss, one every two steps"
    assert best(tmp_path) == 0 and capsys.readouterr().err.count("valid/loss") == 3
    task, done = run(tmp_path, lr=0.3)
    assert done and int(task.step) == 4, "what has ended does not go on"


def test_what_gets_better_goes_on_to_its_end(tmp_path):
    task, done = run(tmp_path, lr=0.01)
    assert done and int(task.step) == 12 and best(tmp_path) > 4


def test_how_long_it_waited_travels_with_the_checkpoint(tmp_path):
    """Broken off after one validation without gain, it has one left."""
    run(tmp_path, lr=0.3, steps=2)
    task, done = run(tmp_path, lr=0.3)
    assert done and int(task.step) == 4 and best(tmp_path) == 0
