"""Run a stage in parts, side by side: python recipes/job_array.py --nj 8 --name encode -- python recipes/encode.py ...

Each part is the command with --part I/N, a process of this machine or, with --cluster slurm, a job of an array. Its log
is LOGS/NAME.I.log. At last the command with --merge N joins the parts. Run again after anything, it does the parts that
have not succeeded and no others: LOGS/NAME.jobs keeps a mark for each that has, until they are joined.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from places import Job, Local, Slurm, lacking, require_program, settings_of
from stage import stage
from tqdm import tqdm

from latent_tts.errors import UserError

DONE = re.compile(rb": (\d+)/(\d+) \w+, \d+ s$", re.MULTILINE)  # what stage.progress writes into logs


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nj", type=int, required=True, help="how many parts")
    parser.add_argument("--name", required=True, help="of the array and its logs")
    parser.add_argument("--logs", type=Path, required=True, help="folder for the logs")
    parser.add_argument("--cluster", choices=["local", "slurm"], default="local", help="where the parts run")
    parser.add_argument("--ngpu", type=int, default=0, help="local: dealt to the parts; slurm: one for each")
    parser.add_argument("--slurm", nargs="*", default=[], metavar="KEY=VALUE", help="for sbatch")
    parser.add_argument("command", nargs="+", help="after --: a stage that knows --part and --merge")
    options = parser.parse_args(argv)
    if options.nj < 1:
        raise UserError(f"--nj {options.nj}: want a number from 1 on")
    require_program(options.command)
    marks = options.logs / f"{options.name}.jobs"
    marks.mkdir(parents=True, exist_ok=True)
    jobs = [part_of(options, number, marks) for number in range(1, options.nj + 1)]
    run([job for job in jobs if not job.done], place_of(options, marks), options)
    failed = [job for job in jobs if not job.done]
    for job in failed:
        print(f"job_array: {job.log}: {last_line(job.log)}", file=sys.stderr)
    if failed:
        raise UserError(
            f"{options.name}: {len(failed)} of {options.nj} parts failed, their logs are above; "
            "run again to do these and no others"
        )
    merged = subprocess.run([*options.command, "--merge", str(options.nj)], stdin=subprocess.DEVNULL)
    shutil.rmtree(marks)  # where joining failed the parts themselves know whether they are done
    if merged.returncode:
        raise UserError(f"{options.name}: its parts could not be joined, see above; run again")


def part_of(options: argparse.Namespace, number: int, marks: Path) -> Job:
    command = (*options.command, "--part", f"{number}/{options.nj}")
    return Job(command, options.logs / f"{options.name}.{number}.log", marks / f"{number}.of.{options.nj}.done")


def place_of(options: argparse.Namespace, folder: Path) -> Local | Slurm:
    if options.cluster == "local":
        return Local(options.ngpu)
    settings = settings_of(options.slurm)
    return Slurm(folder, options.name, {"gpus_per_node": 1, **settings} if options.ngpu else settings)


def run(jobs: Sequence[Job], place: Local | Slurm, options: argparse.Namespace) -> None:
    """Start the jobs and wait until none is left. What is broken off is stopped, too."""
    if not jobs:
        return
    shown = sys.stderr.isatty() or bool(os.environ.get("SHOW_PROGRESS"))
    starts = {job: job.log.stat().st_size if job.log.exists() else 0 for job in jobs}
    layout = "{desc}: {percentage:3.0f}%|{bar}| {postfix} [{elapsed}<{remaining}]"
    try:
        place.start(jobs)
        with tqdm(total=len(jobs), desc=options.name, disable=not shown, bar_format=layout) as bar:
            wait(jobs, place, bar, starts)
    finally:
        place.stop()
    done = len(jobs) - len(lacking([job.mark for job in jobs], place))
    if not shown:
        print(f"job_array: {options.name}: {done} of {len(jobs)} parts done", file=sys.stderr)


def wait(jobs: Sequence[Job], place: Local | Slurm, bar: tqdm, starts: dict[Job, int]) -> None:
    """Poll, often at first and then every few seconds, and show how far the parts' logs say they are."""
    pause = 0.1
    while True:
        left = place.running()
        bar.n = sum(1.0 if job.done else share(job.log, starts[job]) for job in jobs)
        bar.set_postfix_str(f"{len(jobs) - left} of {len(jobs)} parts are over")
        if not left:
            return
        time.sleep(pause)
        pause = min(1.2 * pause, 5.0)


def share(log: Path, start: int) -> float:
    """How much of a part its log says is done, 0 to 1; ``start`` is where this run's lines begin."""
    if not log.exists():
        return 0.0
    with open(log, "rb") as file:
        file.seek(max(start, log.stat().st_size - 4096))
        found = DONE.findall(file.read())
    return int(found[-1][0]) / max(1, int(found[-1][1])) if found else 0.0


def last_line(log: Path) -> str:
    """What a failed job said last."""
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    return next((line for line in reversed(lines) if line.strip() and line[0] != "#"), "nothing was said")


if __name__ == "__main__":
    sys.exit(main())
