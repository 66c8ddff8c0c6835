"""One job of an array: job.py LOG MARK COMMAND... runs a command, logs it, and leaves MARK once it has succeeded.

%t in their names is the number of the process where Slurm runs several. While the command runs its log is locked: the
same job, started again because whoever waited for the first was killed, waits for it, finds the mark and does nothing.
It needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """The command's exit status."""
    log, mark = (Path(name.replace("%t", os.environ.get("SLURM_PROCID", "0"))) for name in argv[:2])
    command = argv[2:]
    with open(log, "ab", buffering=0) as said:
        with contextlib.suppress(OSError):  # some file systems of clusters have no locks
            fcntl.flock(said, fcntl.LOCK_EX)
        if done(mark, command):
            return 0
        said.write(f"# {shlex.join(command)}\n".encode())
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        status = process.wait()
    if status == 0:
        beside = mark.with_name(f"{mark.name}.{os.getpid()}.part")
        beside.write_text(shlex.join(command))
        os.replace(beside, mark)
    return status if status >= 0 else 128 - status


def done(mark: Path, command: list[str]) -> bool:
    """Whether this very command has left its mark."""
    return mark.exists() and mark.read_text() == shlex.join(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
