"""Where jobs run: as processes of this machine, or on a cluster by Slurm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from job import done

from latent_tts.errors import UserError

WRAPPER = Path(__file__).parent / "job.py"
HINT = "--slurm takes what sbatch does, like partition=cpu time=600 mem=8GB cpus_per_task=2"


@dataclass(frozen=True)
class Job:
    """A command, its log, and the file that says it has succeeded."""

    command: tuple[str, ...]
    log: Path
    mark: Path

    @property
    def done(self) -> bool:
        return done(self.mark, list(self.command))

    @property
    def wrapped(self) -> list[str]:
        return [sys.executable, str(WRAPPER), str(self.log), str(self.mark), *self.command]


class Local:
    """Processes of this machine, all at once. Threads and GPUs, if there are any to give, are dealt to them."""

    patience = 0.0

    def __init__(self, ngpu: int = 0):
        self.ngpu, self.processes = ngpu, []

    def start(self, jobs: Sequence[Job]) -> None:
        threads = str(max(1, (os.cpu_count() or 1) // max(1, len(jobs))))
        for number, job in enumerate(jobs):
            environment = {"OMP_NUM_THREADS": threads, **os.environ}
            if self.ngpu:
                environment["CUDA_VISIBLE_DEVICES"] = str(number % self.ngpu)
            environment.pop("SHOW_PROGRESS", None)  # bars belong on a terminal, not into logs
            self.processes.append(subprocess.Popen(job.wrapped, stdin=subprocess.DEVNULL, env=environment))

    def running(self) -> int:
        """How many jobs are not over."""
        return sum(process.poll() is None for process in self.processes)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()


class Slurm:
    """Jobs of Slurm, submitted by submitit; several are a job array.

    ``folder``, which all nodes must see, keeps their numbers: jobs that are still queued or running, because the
    process that waited for them was killed, are waited for and not submitted again. Whether a job is over is asked of
    squeue, since sacct needs a database that small clusters lack. ``settings`` are those of submitit's SlurmExecutor.
    """

    patience = 15.0  # seconds until what a node wrote is seen

    def __init__(self, folder: Path, name: str, settings: dict[str, object]):
        try:
            import submitit
        except ImportError:
            raise UserError("--cluster slurm needs submitit: pip install 'latent-tts[train]'") from None
        self.folder, self.ids = folder.absolute(), []
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.executor = submitit.SlurmExecutor(self.folder / "slurm")
            self.executor.update_parameters(job_name=name, **{"time": 24 * 60, **settings})
        except RuntimeError:
            raise UserError("--cluster slurm: no srun on this machine; start it where jobs are submitted") from None
        except (TypeError, ValueError) as error:
            raise UserError(f"{str(error).splitlines()[0]} {HINT}") from None

    def start(self, jobs: Sequence[Job]) -> None:
        numbers, queued = {job: self.folder / f"{job.mark.stem}.id" for job in jobs}, self.queue()
        if queued is None:
            raise UserError("squeue does not answer, so Slurm takes no jobs here; look at sinfo")
        known = {job: path.read_text() for job, path in numbers.items() if path.exists()}
        self.ids = [number for number in known.values() if number in queued]
        todo = [job for job in jobs if known.get(job) not in queued]
        if not todo:
            return
        os.environ.pop("SHOW_PROGRESS", None)
        try:
            with self.executor.batch():
                submitted = [self.executor.submit(subprocess.call, job.wrapped) for job in todo]
        except Exception as error:
            raise UserError(f"Slurm took no jobs ({str(error).splitlines()[-1].strip()}); {HINT}") from None
        for job, ticket in zip(todo, submitted):
            numbers[job].write_text(ticket.job_id)
            self.ids.append(ticket.job_id)

    def queue(self) -> set[str] | None:
        """The numbers of this user's jobs that are not over; None where squeue does not answer."""
        asked = subprocess.run(["squeue", "--me", "-h", "-r", "-o", "%i"], capture_output=True, text=True)
        return set(asked.stdout.split()) if asked.returncode == 0 else None

    def running(self) -> int:
        """How many jobs are not over, as far as is known."""
        queued = self.queue()
        return len(self.ids) if queued is None else len(queued & set(self.ids))

    def stop(self) -> None:
        """They go on: run again, and they are waited for. ``scancel`` ends them."""


def lacking(marks: Sequence[Path], place: Local | Slurm) -> list[Path]:
    """The marks that are not there, after a while for those of other machines that are not seen yet."""
    end = time.monotonic() + place.patience
    while not all(mark.exists() for mark in marks) and time.monotonic() < end:
        os.listdir(marks[0].parent)  # which makes a network file system look
        time.sleep(0.5)
    return [mark for mark in marks if not mark.exists()]


def require_program(command: Sequence[str]) -> None:
    """UserError where the first word of a command is no program."""
    if not shutil.which(command[0]):
        raise UserError(f"there is no program {command[0]}; a command comes after --")


def settings_of(words: Sequence[str]) -> dict[str, object]:
    """KEY=VALUE... as submitit wants them: numbers are numbers. UserError for what is no such pair."""
    pairs = [word.partition("=") for word in words]
    for key, separator, value in pairs:
        if not (key and separator and value):
            raise UserError(f"--slurm {key}{separator}{value}: want KEY=VALUE; {HINT}")
    return {key: int(value) if value.isdecimal() else value for key, _, value in pairs}
