"""One way to train any task: bf16, one process or many, wall-clock checkpoints, exact resume, a dashboard."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Literal

import lightning
import safetensors.torch
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, Timer, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from latent_tts.errors import UserError
from latent_tts.memory import peak_resident
from latent_tts.nn.precision import multiplies_bf16
from latent_tts.train.optim import NotFinite


@dataclass(frozen=True)
class Fit:
    """How a run is carried out, as opposed to what is trained."""

    accelerator: str = "auto"
    devices: int = 1  # processes on each node, a GPU each; -1 is every GPU
    nodes: int = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"  # auto: ddp where there are several processes
    workers: int = 0  # that prepare batches, beside each process; a GPU wants some
    precision: str = "auto"  # or Lightning's bf16-mixed, 32-true ...; auto: bf16 where the device multiplies in it
    checkpoint_minutes: float = 5.0
    validate_every: int = 500  # steps
    patience: int = 0  # validations without a lower loss that end a run, whose best checkpoint is kept; 0: never
    log_every: int = 20  # steps
    max_time: str | None = None  # DD:HH:MM:SS of this call; a later call goes on from there
    progress: bool = True


class Rows(IterableDataset):
    """The rows of process ``rank`` of ``world`` of every batch from step ``first`` on, in turns with other workers."""

    def __init__(self, batches: Dataset):
        self.batches, self.first, self.rank, self.world = batches, 0, 0, 1

    def __iter__(self) -> Iterator:
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self.first + number, len(self.batches), count):
            yield self.batches[step] if self.world == 1 else self.batches.share(step, self.rank, self.world)


class FromStep(DataLoader):
    """This process's rows of the batches from ``first()`` on: a resumed run continues where the data was left.

    Several processes share every batch (see StepBatches), so the batch of a step does not depend on their number, nor
    on that of the workers who prepare batches.
    """

    def __init__(self, batches: Dataset, trainer: lightning.Trainer, workers: int, first: Callable[[], int] = int):
        super().__init__(Rows(batches), batch_size=None, num_workers=workers)
        self.trainer, self.first = trainer, first

    def __iter__(self) -> Iterator:
        rows = self.dataset
        rows.first, rows.rank, rows.world = self.first(), self.trainer.global_rank, self.trainer.world_size
        return super().__iter__()


def fit(task: lightning.LightningModule, batches: Dataset, valid: Dataset, folder: Path, options: Fit = Fit()) -> bool:
    """Train ``task`` in ``folder`` (``checkpoints/last.ckpt``, ``tensorboard/``) until its batches end or time is up.

    ``task.step`` counts the optimiser's steps and travels in the checkpoint; ``batches[step]`` is one whole batch, and
    several processes need StepBatches to share it. Their gradients are averaged: each counts alike, however many frames
    it had. Returns whether the last batch was reached. Called again on the same folder it resumes, with as many
    processes or with others: the batches stay the same, what is drawn at random in the network does not. With several
    processes ``valid`` is shared as well and the curves of training are those of process 0's rows. With ``patience``
    a run may also end early, and ``checkpoints/best.ckpt`` is of where ``valid/loss`` was lowest. Raises NotFinite, in
    every process, where a loss or a gradient of one is not finite: its message names the file in ``folder`` that holds
    the batch, the checkpoint stays. UserError for options that cannot be, and for a run that has learnt otherwise.
    """
    last = Path(folder) / "checkpoints" / "last.ckpt"
    if last.exists():
        check_optimizers(task, last)
    callbacks = _callbacks(last, len(batches), options)
    trainer = lightning.Trainer(
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.nodes,
        strategy=_strategy(task, last, options),
        precision=precision_of(options),
        max_epochs=-1,
        val_check_interval=min(options.validate_every, len(batches)),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=-1 if options.patience and not last.exists() else 0,
        log_every_n_steps=options.log_every,
        logger=TensorBoardLogger(folder, name="tensorboard", version=""),
        callbacks=callbacks,
        plugins=[CheckpointInPlace()],
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=options.progress,
        enable_model_summary=False,
    )
    trainer.fit(
        task,
        FromStep(batches, trainer, options.workers, lambda: int(task.step)),
        FromStep(valid, trainer, 0),
        ckpt_path=last if last.exists() else None,
        weights_only=True,
    )
    return int(task.step) >= len(batches) or any(isinstance(c, KeepBest) and c.over for c in callbacks)


def check_optimizers(task: lightning.LightningModule, last: Path) -> None:
    """UserError where weights of the checkpoint ``last`` have learnt by other optimisers than ``task`` has for them."""
    saved = torch.load(last, map_location="cpu", weights_only=True, mmap=True)["optimizer_states"]
    own, _ = task.configure_optimizers()
    if [len(state["param_groups"]) for state in saved] != [len(optimizer.param_groups) for optimizer in own]:
        raise UserError(f"{last} has learnt by AdamW where muon is given now, or the other way; leave muon as it was")


def precision_of(options: Fit) -> str:
    """What Lightning is to compute in."""
    if options.precision != "auto":
        return options.precision
    cpu = options.accelerator == "cpu" or not torch.accelerator.is_available()
    return "32-true" if cpu and not multiplies_bf16("cpu") else "bf16-mixed"


def _strategy(task: lightning.LightningModule, last: Path, options: Fit) -> str | Strategy:
    """UserError where FSDP is asked for and cannot be.

    DDP looks for parameters that a loss does not reach: a GAN has several losses, and an encoder may be frozen. FSDP
    writes whole weights and whole optimisers into one file, as others do, so that anything can go on from there; but it
    numbers the optimiser's parameters as the network does, and so cannot itself go on from what others wrote.
    """
    if options.strategy == "auto" and options.devices == options.nodes == 1:
        return "auto"
    if options.strategy != "fsdp":
        return DDPStrategy(find_unused_parameters=True)
    if not is_overridden("configure_model", task):
        raise UserError(f"{type(task).__name__} cannot be spread over processes; give --fit.strategy ddp")
    if last.exists():
        saved = torch.load(last, map_location="cpu", weights_only=True, mmap=True)["optimizer_states"][0]
        numbers = saved["param_groups"][0]["params"]
        if numbers == list(range(len(numbers))):
            raise UserError(f"{last} was not written by fsdp, which cannot go on from there; give --fit.strategy ddp")
    devices = options.devices if options.devices > 0 else torch.cuda.device_count()
    return ModelParallelStrategy(devices * options.nodes, 1, save_distributed_checkpoint=False)


class LastStep(lightning.Callback):
    """Ends a run after its last batch. (An epoch limit would forbid to resume a finished run with more steps.)"""

    def __init__(self, steps: int):
        self.steps = steps

    def on_train_start(self, trainer, pl_module) -> None:
        """A finished run has no batches left, and an epoch without any would begin again for ever."""
        trainer.should_stop = trainer.should_stop or int(pl_module.step) >= self.steps

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        trainer.should_stop = trainer.should_stop or int(pl_module.step) >= self.steps


class KeepBest(lightning.Callback):
    """Keeps the checkpoint of the lowest ``valid/loss`` as ``path`` and ends a run when ``patience`` validations in a
    row brought none lower. What a run begins with is validated, too, and may stay the best.
    """

    def __init__(self, path: Path, patience: int):
        self.path, self.patience, self.lowest, self.waited = path, patience, math.inf, 0

    @property
    def over(self) -> bool:
        return self.waited >= self.patience

    def state_dict(self) -> dict:
        return {"lowest": self.lowest, "waited": self.waited}

    def load_state_dict(self, state_dict: dict) -> None:
        self.lowest, self.waited = state_dict["lowest"], state_dict["waited"]

    def on_train_start(self, trainer, pl_module) -> None:
        trainer.should_stop = trainer.should_stop or self.over

    def on_validation_end(self, trainer, pl_module) -> None:
        loss = float(trainer.callback_metrics["valid/loss"])
        self.waited = 0 if loss < self.lowest else self.waited + 1
        if not self.waited:
            self.lowest = loss
            beside = self.path.with_suffix(".part")
            trainer.save_checkpoint(beside)
            if trainer.is_global_zero:
                os.replace(beside, self.path)
        if trainer.is_global_zero:
            print(f"fit: step {int(pl_module.step)}: valid/loss {loss:.4f}, lowest {self.lowest:.4f}", file=sys.stderr)
        trainer.should_stop = trainer.should_stop or self.over


class CallTimer(Timer):
    """Ends this call after a time; Lightning's own Timer counts the calls before it as well."""

    def load_state_dict(self, state_dict: dict) -> None:
        pass


class CheckpointInPlace(TorchCheckpointIO):
    """Writes a checkpoint to where it is wanted. Lightning's own goes through the system's temporary folder, which may
    be small, and where a killed run would leave it behind.
    """

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        torch.save(checkpoint, path)


class ClockCheckpoint(lightning.Callback):
    """Writes ``path`` every so many minutes, at the end and when the run is stopped, each time beside it and renamed.

    So a process that is killed at any moment leaves ``path`` whole, as it was written last, and at most a ``.part``
    beside it, which the next one overwrites. Nothing is promised for a power cut: files are not synced to the disk.
    Where a loss or a gradient is not finite nothing is written, nor where one of several processes fails: the others
    are not at the same place, and the checkpoint before stays. Lightning's own ModelCheckpoint does not look at the
    clock where a task optimises by hand.
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
        due = time.monotonic() - self.saved >= self.seconds
        if trainer.strategy.reduce_boolean_decision(due, all=False):  # processes do not read the same clock
            self.save(trainer)

    def on_train_end(self, trainer, pl_module) -> None:
        self.save(trainer)

    def on_exception(self, trainer, pl_module, exception: BaseException) -> None:
        if trainer.world_size == 1 and not isinstance(exception, FloatingPointError):
            self.save(trainer)


class BadBatch(lightning.Callback):
    """Keeps the batch at which a loss or a gradient is not finite: ``folder/bad_batch_step<step>.safetensors``.

    Each of several processes keeps its rows, as ``bad_batch_step<step>_rank<rank>.safetensors``.
    A batch that is a dataclass is stored by its fields' names, any other by place ("0", "1", ...); the metadata are
    ``part`` and ``step``. The exception's message gets the file's name.
    """

    def __init__(self, folder: Path):
        self.folder, self.batch = Path(folder), None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.batch = batch

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.batch = None

    def on_exception(self, trainer, pl_module, exception: BaseException) -> None:
        if not isinstance(exception, NotFinite):
            return
        several = trainer.world_size > 1
        rows = f"_rank{trainer.global_rank}" if several else ""
        path = self.folder / f"bad_batch_step{exception.step}{rows}.safetensors"
        beside = path.with_suffix(".part")
        about = {"part": exception.part, "step": str(exception.step)}
        safetensors.torch.save_file(_named_tensors(self.batch), beside, about)
        os.replace(beside, path)
        trainer.strategy.barrier()  # a process that ends takes the others with it
        whole = path.with_name(f"bad_batch_step{exception.step}_rank*.safetensors") if several else path
        exception.args = (f"{exception}; its batch is {whole}",)


def _named_tensors(batch: object) -> dict[str, Tensor]:
    if is_dataclass(batch):
        named = {field.name: getattr(batch, field.name) for field in fields(batch)}
    else:
        named = {str(i): tensor for i, tensor in enumerate([batch] if isinstance(batch, Tensor) else batch)}
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in named.items()}


class Pace(lightning.Callback):
    """Logs ``run/steps_per_second`` since it last did (validation and checkpoints count), what the task heard in that
    time in all processes (``run/frames_per_second`` or ``run/sound_per_second``, seconds of it), how many processors
    this process kept busy (``run/cores``), and peaks of memory so far in GiB: ``run/resident_gib`` of this process and,
    on a GPU, ``run/cuda_gib`` of its tensors.
    """

    def on_train_start(self, trainer, pl_module) -> None:
        self.begin(pl_module)

    def begin(self, task: lightning.LightningModule) -> None:
        self.step, self.time, self.worked, self.heard = int(task.step), time.monotonic(), time.process_time(), 0.0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        step, (name, amount) = int(pl_module.step), pl_module.heard(batch)
        self.heard += amount
        if not trainer.log_every_n_steps or step % trainer.log_every_n_steps:
            return
        spent = time.monotonic() - self.time
        heard = trainer.strategy.reduce(torch.tensor(self.heard, device=pl_module.device), reduce_op="sum")
        figures = {"run/steps_per_second": (step - self.step) / spent, f"run/{name}_per_second": heard.item() / spent}
        figures["run/cores"] = (time.process_time() - self.worked) / spent
        figures["run/resident_gib"] = peak_resident()
        if pl_module.device.type == "cuda":
            figures["run/cuda_gib"] = torch.cuda.max_memory_allocated(pl_module.device) / 2**30
        trainer.logger.log_metrics(figures, step - 1)
        self.begin(pl_module)


def _callbacks(last: Path, steps: int, options: Fit) -> list[lightning.Callback]:
    bar = [TQDMProgressBar(refresh_rate=5)] if options.progress else []
    timer = [CallTimer(options.max_time)] if options.max_time else []
    keep = [ClockCheckpoint(last, options.checkpoint_minutes), BadBatch(last.parent.parent)]
    keep += [KeepBest(last.with_name("best.ckpt"), options.patience)] if options.patience else []
    return [LastStep(steps), *keep, LearningRateMonitor(), Pace(), *timer, *bar]
