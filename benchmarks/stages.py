#!/usr/bin/env python3
"""What the stages cost for a corpus of any size, from rates measured here; docs/scale.md shows what it prints.

python benchmarks/stages.py --hours 60000 --jobs 256

Every stage that takes recordings by themselves runs once, by one process on one thread, with the shipped model over the
training split of egs/mini (or --data_dir). Time is that of a processor, as the stages' own summaries tell it, so other
work on the machine hardly shows. Disk is what the files take for an hour of sound, memory the most that a process held.

Trainings are nano's, for an epoch, in which every hour comes once: the codec alone and with its discriminators, and the
language model, which hears each utterance behind a reference. A few steps are timed, and as many warm up before.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from timing import markdown_table

from latent_tts.data.audio_pack import AudioPack
from latent_tts.data.cloning import CloningBatches
from latent_tts.data.frame_pack import FramePack
from latent_tts.errors import UserError, program
from latent_tts.evaluate.trials import read_trials, write_trials
from latent_tts.model_dir import load_codec
from latent_tts.model_files import SHIPPED

ROOT = Path(__file__).parent.parent
TRIALS = ROOT / "egs/nano/trials/trials.tsv"
BATCH_FRAMES = 1500  # of the language model's training: nano's
SUMMARY = re.compile(r"; ([\d.]+) h of sound in .* s, ([\d.]+) s of a core, .*, ([\d.]+) GiB$", re.MULTILINE)


class Cost(NamedTuple):
    """Of a stage for an hour of sound: hours of a core, GiB left on disk; and GiB of memory of one process."""

    name: str
    work: float
    disk: float
    memory: float


@program
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, help="Kaldi data directory; default: egs/mini's training split")
    parser.add_argument("--hours", type=float, default=60000, help="of the corpus to reckon for; default: 60000")
    parser.add_argument("--jobs", type=int, default=256, help="jobs at a time, a core each; default: 256")
    parser.add_argument("--trials", type=int, default=4, help="sentences that are synthesised; default: 4")
    parser.add_argument("--steps", type=int, default=8, help="of trainings that are timed, 0: none; default: 8")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        costs = list(stage_costs(options.data_dir or prepared(work), work, options.trials))
        costs += training_costs(work, options.steps) if options.steps else []
        print(cost_table(costs, options.hours, options.jobs))
        print(memory_table(work))
    return 0


def prepared(work: Path) -> Path:
    """The training split of egs/mini."""
    run(ROOT / "egs/mini/run.sh", "--stage", 1, "--stop_stage", 1, "--work_dir", work, "--python", sys.executable)
    return work / "data/train"


def run(script: Path, *options: object) -> str:
    """Run a stage, or a recipe, on one thread -> what it said."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    start = [sys.executable] if script.suffix == ".py" else []
    command = [*start, str(script), *map(str, options)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if ended.returncode:
        raise UserError(f"{script.name} failed: {ended.stdout.strip().splitlines()[-1]}")
    return ended.stdout


def stage_costs(data: Path, work: Path, trials: int) -> Iterator[Cost]:
    """Run one stage after another in ``work``."""
    pack, frames, shards = work / "pack", work / "frames", work / "shards"
    listed = work / "trials.tsv"
    write_trials(listed, read_trials(TRIALS)[:trials])
    stages = {
        "pack_audio": (["--data_dir", data, "--pack", pack], "pack/samples.npy pack/index.json"),
        "phones": (["--data_dir", data, "--pack", pack], "pack/phones.json"),
        "align": (["--pack", pack, "--aligner", SHIPPED], "pack/alignments.json"),
        "encode": (["--data_dir", data, "--pack", pack, "--codec", SHIPPED, "--out", frames], "frames/*"),
        "export_shar": (["--pack", frames, "--codec", SHIPPED, "--out", shards], "shards/*"),
        "synthesize": (["--trials", listed, "--out", work / "wav", "--engine", "torch", "--threads", 1], "wav/*"),
    }
    for name, (options, left) in stages.items():
        sound, seconds, memory = map(float, SUMMARY.findall(run(ROOT / f"recipes/{name}.py", *options))[-1])
        size = sum(path.stat().st_size for pattern in left.split() for path in work.glob(pattern))
        yield Cost(name, seconds / 3600 / sound, size / 2**30 / sound, memory)


def training_costs(work: Path, steps: int) -> Iterator[Cost]:
    """Of an epoch by nano's sizes, from phases of ``steps`` of which the first warms up."""
    late = 2 * steps
    begin = ("--task.training.adversarial_from", late, "--task.training.encoder_until", late)
    _, *phases = phases_of("codec", work / "pack", 3 * steps, steps, *begin)
    for name, pace in zip(("train codec", "train codec, discriminators"), phases):
        yield Cost(name, pace["run/cores"] / pace["run/sound_per_second"], 0, pace["run/resident_gib"])
    _, pace = phases_of("lm", work / "frames", late, steps, "--task.training.batch_frames", BATCH_FRAMES)
    batches = CloningBatches(work / "frames", BATCH_FRAMES, late)
    heard = [batches[step] for step in range(steps, late)]
    own = 1 - sum(int(b.prompt_lens.sum()) for b in heard) / sum(int(b.frame_lens.sum()) for b in heard)
    learnt = own * pace["run/frames_per_second"] / load_codec(SHIPPED).frame_rate  # seconds of utterances in a second
    yield Cost("train lm", pace["run/cores"] / learnt, 0, pace["run/resident_gib"])


def phases_of(part: str, pack: Path, count: int, steps: int, *options: object) -> list[dict[str, float]]:
    """Train ``part`` for ``count`` steps on ``pack`` -> what its dashboard says of every ``steps`` of them."""
    data, exp = pack.parent / f"{part}_data", pack.parent / f"{part}_exp"
    data.mkdir()
    for split in ("train", "valid"):
        (data / split).symlink_to(pack)
    start = [part, "--config", ROOT / f"recipes/conf/{part}_nano.yaml", "--data", data, "--exp", exp]
    fit = ["--fit.accelerator", "cpu", "--fit.progress", "false", "--fit.log_every", steps]
    fit += ["--fit.checkpoint_minutes", 1000]  # none while time is taken
    run(ROOT / "recipes/train.py", *start, *fit, "--task.training.steps", count, *options)
    return paces(exp)


def paces(exp: Path) -> list[dict[str, float]]:
    """The figures ``run/...`` on the dashboard of a training, as often as they were logged."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(exp / "tensorboard")).Reload()
    names = [tag for tag in board.Tags()["scalars"] if tag.startswith("run/")]
    values = [[event.value for event in board.Scalars(name)] for name in names]
    return [dict(zip(names, row)) for row in zip(*values)]


def cost_table(costs: list[Cost], hours: float, jobs: int) -> str:
    """A row a stage; synthesis, which does not grow with the corpus, is told by its rate alone, and trainings, which
    are no jobs side by side, by their work."""
    rows = []
    for name, work, disk, memory in costs:
        rate = f"{1 / work:,.0f}" if work < 0.5 else f"{1 / work:.2f}"
        whole = [f"{work * hours:,.0f}", f"{work * hours / jobs:,.1f}", f"{disk * hours:,.0f}"]
        told = 0 if name == "synthesize" else 1 if name.startswith("train ") else 3
        rows.append([name, rate, *whole[:told], *[""] * (3 - told), f"{memory:.2f}"])
    head = ["stage", "times real time on a core", f"core hours for {hours:,.0f} h", f"hours by {jobs} jobs"]
    return markdown_table([*head, "GiB on disk", "GiB of memory, this run"], rows)


def memory_table(work: Path) -> str:
    """What lists that a process holds whole take for an hour of sound, and how many hours fit 32 GiB."""
    pack = AudioPack(work / "pack")
    sound = len(pack.samples) / pack.sample_rate / 3600
    lists: dict[str, Callable[[], object]] = {
        "recordings and their phones (pack_audio, phones)": lambda: loaded(work, "pack/index.json", "pack/phones.json"),
        "recordings and alignments (align, encode)": lambda: loaded(work, "pack/index.json", "pack/alignments.json"),
        "clips of a frame pack (export_shar; training from a pack)": lambda: FramePack(work / "frames"),
    }
    rows = []
    for name, load in lists.items():
        tracemalloc.start()
        held = load()
        size = tracemalloc.get_traced_memory()[0] / sound
        tracemalloc.stop()
        rows.append([name, f"{size / 2**20:.2f}", f"{32 * 2**30 / size:,.0f}"])
        del held
    return markdown_table(["held in memory", "MiB for an hour of sound", "hours in 32 GiB"], rows)


def loaded(work: Path, *names: str) -> list:
    return [json.loads((work / name).read_text()) for name in names]


if __name__ == "__main__":
    sys.exit(main())
