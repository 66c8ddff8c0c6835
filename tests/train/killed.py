"""python killed.py FOLDER: a language model that saves at every step is killed time and again, then trained to its end.

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
from contextlib import suppress
from pathlib import Path

import torch
import torch.utils.tensorboard  # noqa: F401
from tiny import LATENT_DIM, tiny_frame_pack

from latent_tts.data.cloning import CloningBatches
from latent_tts.lm.aligned import AlignedLMConfig
from latent_tts.train.fit import Fit, fit
from latent_tts.train.lm_task import LMTask, LMTraining

LEAST_KILLS, MOST_KILLS, WANTED_TORN = 6, 30, 2


def train(folder: Path, steps: int, minutes: float) -> None:
    """A language model of 4 MB or so with its optimiser and average, written at every step where ``minutes`` is 0."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.manual_seed(0)
    sizes = {"dim": 128, "layers": 1, "heads": 2, "text_dim": 16, "head_dim": 32, "head_layers": 1}
    task = LMTask(AlignedLMConfig(frame_dim=LATENT_DIM, **sizes), LMTraining(steps=100, warmup=2, ema=0.5))
    options = Fit("cpu", precision="32-true", progress=False, checkpoint_minutes=minutes, validate_every=10**6)
    batches, valid = (CloningBatches(folder.parent / "pack", 120, count) for count in (steps, 1))
    fit(task, batches, valid, folder, options)


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
    tiny_frame_pack(folder / "pack")
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
