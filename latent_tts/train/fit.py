"""One way to train any task: bf16, wall-clock checkpoints, exact resume, a dashboard and a progress bar."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import LearningRateMonitor, Timer, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, Dataset, IterableDataset


@dataclass(frozen=True)
class Fit:
    """How a run is carried out, as opposed to what is trained."""

    accelerator: str = "auto"
    devices: int = 1
    strategy: str = "auto"
    precision: str = "bf16-mixed"
    checkpoint_minutes: float = 5.0
    validate_every: int = 500  # steps
    log_every: int = 20  # steps
    max_time: str | None = None  # DD:HH:MM:SS of this call; a later call goes on from there
    progress: bool = True


class FromStep(IterableDataset):
    """The batches of a task from its current step on: what makes a resumed run continue where the data was left."""

    def __init__(self, batches: Dataset, task: lightning.LightningModule):
        self.batches, self.task = batches, task

    def __iter__(self) -> Iterator:
        for step in range(int(self.task.step), len(self.batches)):
            yield self.batches[step]


def fit(task: lightning.LightningModule, batches: Dataset, valid: Dataset, folder: Path, options: Fit = Fit()) -> bool:
    """Train ``task`` in ``folder`` (``checkpoints/last.ckpt``, ``tensorboard/``) until its batches end or time is up.

    ``task.step`` counts the steps done and travels in the checkpoint; ``batches[step]`` is one whole batch. Returns
    whether the last batch was reached. Called again on the same folder it resumes.
    """
    last = Path(folder) / "checkpoints" / "last.ckpt"
    trainer = lightning.Trainer(
        accelerator=options.accelerator,
        devices=options.devices,
        strategy=options.strategy,
        precision=options.precision,
        max_epochs=-1,
        val_check_interval=min(options.validate_every, len(batches)),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=options.log_every,
        logger=TensorBoardLogger(folder, name="tensorboard", version=""),
        callbacks=_callbacks(last, len(batches), options),
        enable_checkpointing=False,
        enable_progress_bar=options.progress,
        enable_model_summary=False,
    )
    trainer.fit(
        task,
        DataLoader(FromStep(batches, task), batch_size=None),
        DataLoader(valid, batch_size=None),
        ckpt_path=last if last.exists() else None,
        weights_only=True,
    )
    return int(task.step) >= len(batches)


class LastStep(lightning.Callback):
    """Ends a run after its last batch. (An epoch limit would forbid to resume a finished run with more steps.)"""

    def __init__(self, steps: int):
        self.steps = steps

    def on_train_start(self, trainer, pl_module) -> None:
        """A finished run has no batches left, and an epoch without any would begin again for ever."""
        trainer.should_stop = trainer.should_stop or int(pl_module.step) >= self.steps

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        trainer.should_stop = trainer.should_stop or int(pl_module.step) >= self.steps


class CallTimer(Timer):
    """Ends this call after a time; Lightning's own Timer counts the calls before it as well."""

    def load_state_dict(self, state_dict: dict) -> None:
        pass


class ClockCheckpoint(lightning.Callback):
    """Writes ``path`` every so many minutes, at the end and when the run is stopped, each time beside it and renamed.

    Lightning's own ModelCheckpoint does not look at the clock where a task optimises by hand.
    """

    def __init__(self, path: Path, minutes: float):
        self.path, self.seconds, self.saved = path, minutes * 60, time.monotonic()

    def save(self, trainer: lightning.Trainer) -> None:
        beside = self.path.with_suffix(".part")
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            os.replace(beside, self.path)
        self.saved = time.monotonic()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if time.monotonic() - self.saved >= self.seconds:
            self.save(trainer)

    def on_train_end(self, trainer, pl_module) -> None:
        self.save(trainer)

    def on_exception(self, trainer, pl_module, exception: BaseException) -> None:
        if not isinstance(exception, FloatingPointError):
            self.save(trainer)


def _callbacks(last: Path, steps: int, options: Fit) -> list[lightning.Callback]:
    bar = [TQDMProgressBar(refresh_rate=5)] if options.progress else []
    timer = [CallTimer(options.max_time)] if options.max_time else []
    return [LastStep(steps), ClockCheckpoint(last, options.checkpoint_minutes), LearningRateMonitor(), *timer, *bar]
