"""Run one command as many processes of a Slurm job, a training for instance, and wait for it:

python recipes/launch.py --nodes 2 --tasks 8 --ngpu 8 --name train_lm --logs exp/log -- python recipes/train.py lm ...

Lightning finds in Slurm's environment what each process is; --fit.nodes and --fit.devices say the same numbers. Their
logs are LOGS/NAME.TASK.log; what process 0 says is shown. A job that is still there, because the process that waited
for it was killed, is waited for and not submitted again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from job_array import last_line
from places import Job, Slurm, lacking, require_program, settings_of
from stage import stage

from latent_tts.errors import UserError


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1, help="how many machines")
    parser.add_argument("--tasks", type=int, default=1, help="processes on each")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs on each")
    parser.add_argument("--name", required=True, help="of the job and its logs")
    parser.add_argument("--logs", type=Path, required=True, help="folder for the logs, seen by all machines")
    parser.add_argument("--slurm", nargs="*", default=[], metavar="KEY=VALUE", help="for sbatch")
    parser.add_argument("command", nargs="+", help="after --")
    options = parser.parse_args(argv)
    require_program(options.command)
    marks = options.logs / f"{options.name}.jobs"
    sizes = {"nodes": options.nodes, "ntasks_per_node": options.tasks}
    if options.ngpu:
        sizes["gpus_per_node"] = options.ngpu
    place = Slurm(marks, options.name, {**sizes, **settings_of(options.slurm)})
    job = Job(tuple(options.command), options.logs / f"{options.name}.%t.log", marks / "%t.done")
    for mark in marks.glob("*.done"):
        mark.unlink()
    shown = Path(str(job.log).replace("%t", "0"))
    start = shown.stat().st_size if shown.exists() else 0
    place.start([job])
    follow(place, shown, start)
    failed = lacking([marks / f"{task}.done" for task in range(options.nodes * options.tasks)], place)
    if failed:
        log = Path(str(job.log).replace("%t", failed[0].stem))
        raise UserError(f"{options.name}: process {failed[0].stem} failed, see {log}: {last_line(log)}")
    shutil.rmtree(marks)


def follow(place: Slurm, log: Path, start: int) -> None:
    """Repeat on stderr what is written into ``log`` from byte ``start`` on, until the job is over."""
    running = True
    while running:
        running = place.running() > 0
        if log.exists():
            with open(log, "rb") as file:
                file.seek(start)
                said = file.read()
            start += len(said)
            sys.stderr.write(said.decode("utf-8", "replace"))
            sys.stderr.flush()
        if running:
            time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main())
