"""python killed.py FOLDER: a training that saves at every step is killed again and again, then run to its end.

Every other kill comes at a random time, the rest while a checkpoint is written. Leaves FOLDER/killed and
FOLDER/straight (the same steps without a break) and prints, as JSON, what each kill left: {"step": of last.ckpt, null
where that cannot be loaded, "torn": whether a .part lay beside it that was cut off}. Forked, so that the imports are
paid once.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch
import torch.utils.tensorboard  # noqa: F401
from torch.utils.data import Dataset

from latent_tts.align.aligner import AlignerConfig
from latent_tts.train.aligner_task import AlignerTask, AlignerTraining
from latent_tts.train.fit import Fit, fit

LEAST_KILLS, MOST_KILLS, WANTED_TORN = 6, 30, 2


class Recordings(Dataset):
    """Noise with random phones, a row a batch."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, step: int) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(step)
        wav, text = torch.randn(1, 4000, generator=generator), torch.randint(1, 100, (1, 3), generator=generator)
        return wav, torch.tensor([4000]), text, torch.tensor([3])

    def __iter__(self) -> Iterator:
        return (self[step] for step in range(self.count))


def train(folder: Path, steps: int, minutes: float) -> None:
    """Weights of 4 MB or so, written at every step where ``minutes`` is 0."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.manual_seed(0)
    task = AlignerTask(AlignerConfig(n_mels=20, dim=96, blocks=3), AlignerTraining(steps=100, warmup=2, ema=0.5))
    options = Fit("cpu", precision="32-true", progress=False, checkpoint_minutes=minutes, validate_every=10**6)
    fit(task, Recordings(steps), Recordings(1), folder, options)


def forked(folder: Path, steps: int, minutes: float) -> int:
    """Train in a child -> its process id."""
    child = os.fork()
    if not child:
        try:
            train(folder, steps, minutes)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def marks(*paths: Path) -> list[tuple[int, int]]:
    """What changes as soon as anything is written to a file, or another takes its place."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):
            about = path.stat()
            found.append((about.st_ino, about.st_mtime_ns))
    return found


def await_change(child: int, before: list[tuple[int, int]], *paths: Path) -> None:
    while marks(*paths) == before:
        if os.waitpid(child, os.WNOHANG)[0]:
            sys.exit("the training ended before it was killed")
        time.sleep(0.0005)


def kill(folder: Path, delay: float | None) -> dict[str, object]:
    """Train until a checkpoint is there, then SIGKILL: after ``delay`` seconds, or where that is None while the next
    one is written. -> what it left.
    """
    last = folder / "checkpoints/last.ckpt"
    part, before = last.with_suffix(".part"), marks(last)
    child = forked(folder, 10**6, 0)
    await_change(child, before, last)
    if delay is None:
        await_change(child, marks(last, part), last, part)
    else:
        time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"step": step_of(last), "torn": part.exists() and step_of(part) is None}


def step_of(checkpoint: Path) -> int | None:
    """None where it cannot be loaded."""
    try:
        return int(torch.load(checkpoint, weights_only=True)["state_dict"]["step"])
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
        return None


def main(folder: Path) -> None:
    rng, left = random.Random(0), []
    while len(left) < LEAST_KILLS or (sum(record["torn"] for record in left) < WANTED_TORN and len(left) < MOST_KILLS):
        left.append(kill(folder / "killed", rng.uniform(0, 0.1) if len(left) % 2 else None))
        if left[-1]["step"] is None:
            break
    for name, minutes in (("killed", 0), ("straight", 5)):
        child = forked(folder / name, (left[-1]["step"] or 0) + 3, minutes)
        if os.waitpid(child, 0)[1]:
            sys.exit(f"the {name} training failed")
    print(json.dumps(left))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
