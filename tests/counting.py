"""A stage that counts letters, and the runner of job arrays over it: what array tests are tried on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes"
STAGE = '''
"""A stage that counts letters; those named in a file `broken` beside its output cannot be counted."""
import argparse, json, os, sys, time
from pathlib import Path
from stage import add_parts, in_parts, joined, progress, stage
from latent_tts.errors import UserError

@stage
def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=0)
    add_parts(parser)
    options = parser.parse_args(argv)
    broken = options.out.with_name("broken")

    def do(part):
        with open(options.out.with_name("done"), "a") as file:
            for letter in progress(part.share("abcdefg"), "count", "letter", every=0):
                if broken.exists() and letter in broken.read_text():
                    raise UserError(f"cannot count {letter}")
                time.sleep(options.seconds)
                file.write(letter)
        part.of(options.out).write_text(json.dumps({letter: ord(letter) for letter in part.share("abcdefg")}))

    def join(parts):
        options.out.write_text(json.dumps(joined([part.of(options.out) for part in parts])))

    in_parts(options, options.out, do, join)

if __name__ == "__main__":
    sys.exit(main())
'''


class Array:
    """The runner over STAGE in a folder; ``runner`` are options of its own."""

    def __init__(self, folder: Path):
        self.folder, self.out = folder, folder / "counts.json"
        (folder / "count.py").write_text(STAGE)

    def start(self, nj: int = 3, *options: object, runner: tuple = ()) -> subprocess.Popen:
        start = [sys.executable, RECIPES / "job_array.py", "--nj", nj, "--name", "count", "--logs", self.folder / "log"]
        command = [*start, *runner, "--", sys.executable, self.folder / "count.py", "--out", self.out, *options]
        path = os.pathsep.join(map(str, (ROOT, RECIPES)))
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True, env=environment)

    def run(self, *options: object, status: int = 0, **more: object) -> str:
        process = self.start(*options, **more)
        said = process.communicate(timeout=120)[1]
        assert process.returncode == status, said
        return said

    @property
    def done(self) -> str:
        return "".join(sorted((self.folder / "done").read_text()))

    def log(self, number: int) -> str:
        return (self.folder / f"log/count.{number}.log").read_text()
