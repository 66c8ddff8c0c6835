"""What the stages share: one line for unusable input, shares of the work for job arrays, progress, a summary."""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from latent_tts.errors import UserError, program
from latent_tts.memory import peak_resident

Item = TypeVar("Item")


def stage(main: Callable[[list[str] | None], None]) -> Callable[..., int]:
    """Make ``main(argv)`` a command: 0 when it returns, 2 and one line on stderr for what the user can put right."""

    @program
    @functools.wraps(main)
    def command(argv: list[str] | None = None) -> None:
        try:
            main(argv)
        except FloatingPointError as error:
            raise UserError(str(error)) from error
        except FileNotFoundError as error:
            if error.filename is None:
                raise
            raise UserError(f"{error.filename} is not there; an earlier stage leaves it, run that first") from error

    return command


@dataclass(frozen=True)
class Part:
    """One of ``count`` shares of a stage's work, or all of it: then its files have their own names."""

    number: int = 1
    count: int = 1
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> Part:
        """I/N, I from 1 to N; UserError for anything else."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise UserError(f"--part {text}: want I/N with I from 1 to N, like 2/8")
        return cls(number, count, f".{number}.of.{count}")

    def share(self, items: Iterable[Item]) -> list[Item]:
        """Items I, I + N, I + 2 N, ... of a sorted list: neighbours, alike in length, go to different parts."""
        return list(items)[self.number - 1 :: self.count]

    def of(self, path: Path) -> Path:
        """Where this part leaves its share of ``path``."""
        return path.with_name(path.name + self.suffix)


def add_parts(parser: argparse.ArgumentParser) -> None:
    """--part and --merge, which recipes/job_array.py gives to a stage."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--part", metavar="I/N", help="do a share of the work alone and leave it in *.I.of.N")
    either.add_argument("--merge", type=int, metavar="N", help="do nothing but join what N parts left")


def in_parts(
    options: argparse.Namespace,
    left: Path,
    do: Callable[[Part], None],
    join: Callable[[list[Part]], None],
    *others: Path,
) -> None:
    """Do all of a stage, a part of it, or join its parts, as ``options`` say; what is there already is kept.

    ``do`` writes ``part.of(path)`` for each path of ``others`` and, as the last and whole, for ``left``. ``join`` reads
    these of all parts and writes the paths themselves, ``left`` last again: the same as if one had done everything.
    UserError where a part is missing.
    """
    if options.part:
        part = Part.parse(options.part)
        if not left.exists() and not part.of(left).exists():
            do(part)
    elif options.merge is None:
        if not left.exists():
            do(Part())
    else:
        parts = [Part.parse(f"{number}/{options.merge}") for number in range(1, options.merge + 1)]
        if not left.exists():
            lacking = [part.of(left) for part in parts if not part.of(left).exists()]
            if lacking:
                raise UserError(f"of {options.merge} parts {len(lacking)} are missing, {lacking[0]} is one; do them")
            join(parts)
        for path in (left, *others):
            for leftover in path.parent.glob(f"{path.name}.*.of.*"):
                leftover.unlink()


def pack_in_parts(options: argparse.Namespace, do: Callable[[Part], None]) -> None:
    """The same for a stage that leaves a frame pack in ``options.out``; ``do`` writes ``part``'s share of it."""
    from latent_tts.data.frame_pack import join_frame_packs

    def join(parts: list[Part]) -> None:
        join_frame_packs(options.out, [part.suffix for part in parts])

    others = [options.out / name for name in ("frames.npy", "noise.npy", "entries.npy")]
    in_parts(options, options.out / "clips.json", do, join, *others)


def read_sentences(path: Path) -> list[str]:
    """The lines of the file that --sentences names. UserError where there is none."""
    if not path.is_file():
        raise UserError(f"--sentences {path}: no such file; give one with a sentence a line")
    return path.read_text("utf-8").splitlines()


def joined(paths: Sequence[Path]) -> dict:
    """What JSON files of parts hold, {key: ...} each, as one dict in C order."""
    content = {key: value for path in paths for key, value in json.loads(path.read_text("utf-8")).items()}
    return {key: content[key] for key in sorted(content)}


def progress(items: Iterable[Item], desc: str, unit: str, every: float = 30.0) -> Iterator[Item]:
    """A bar where somebody sees it (tts.sh sets SHOW_PROGRESS when a terminal stands behind its pipe); else, for logs,
    a line ``desc: done/all unit`` every so many seconds."""
    if sys.stderr.isatty() or os.environ.get("SHOW_PROGRESS"):
        yield from tqdm(items, desc=desc, unit=unit)
        return
    known = f"/{len(items)}" if isinstance(items, Sequence) or hasattr(items, "__len__") else ""
    begun = said = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said >= every:
            said = now
            print(f"{desc}: {done}{known} {unit}, {now - begun:.0f} s", file=sys.stderr, flush=True)


class Clock:
    """Seconds since it was made: of the day, and of this process's work on all processors."""

    def __init__(self):
        self.begun, self.worked = time.monotonic(), time.process_time()

    def summary(self, name: str, what: str, sound: float) -> None:
        """One line at a stage's end: what was done with ``sound`` seconds of it, how fast, and the most memory held.

        benchmarks/stages.py reads it.
        """
        spent, work = time.monotonic() - self.begun, max(time.process_time() - self.worked, 1e-3)
        times = f"{spent:.1f} s, {work:.2f} s of a core, {sound / work:.1f} times real time"
        print(f"{name}: {what}; {sound / 3600:.4f} h of sound in {times}, {peak_resident():.2f} GiB", file=sys.stderr)
