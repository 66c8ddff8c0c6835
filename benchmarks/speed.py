#!/usr/bin/env python3
"""Speed of speaking, side by side with piper-tts and pocket-tts: python benchmarks/speed.py --json speed.json

Shares of real time at several lengths, the time to the first sound, what cloning costs, start and memory in a process
of its own and of the command `tts`; for our engines every stage, batches, and a step's cost as the past grows. The
systems take turns, so that what else the machine does hits all alike; the last column is a system's time over ours,
round by round. Peers speak 10 s only (--peer_seconds): some take as long as they speak.

What is measured is written into --json as it comes; --resume goes on from there. --quick is a first look.

The peers come with `pip install -c tools/constraints.txt '.[bench]'` and share our torch (tried: pocket-tts 4.0,
piper-tts 1.8, which is under the GPL-3.0 and is not a part of this package). One that is not installed is left out.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from speech_systems import ENGINES, PEERS, RATE, Own, Speaker, build, reference, text_of
from speed_stages import stages
from speed_tables import markdown, plot
from timing import conditions, interleave, quotients, spread

from latent_tts.errors import UserError, program
from latent_tts.evaluate.report import write_score
from latent_tts.model_files import SHIPPED

BATCH_SECONDS = 4.0  # of each text in a batch
PACKAGES = ("latent-tts", "torch", "onnxruntime", "pocket-tts", "piper-tts")
QUICK = {"seconds": [1.0, 10.0], "batches": [1, 8], "rounds": 3, "threads": [2]}
LISTS = ("engines", "peers", "seconds", "peer_seconds", "batches")

Section = Callable[[dict], None]


@program
def main(argv: list[str] | None = None) -> int:
    options = parse(argv)
    report = benchmark(options)
    if options.plot:
        plot(report, options.plot)
    print(markdown(report), end="")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", type=Path, default=SHIPPED, help="model directory; default: the shipped one")
    add("--engines", nargs="+", choices=ENGINES, default=["onnx", "torch"], help="the first is what others are over")
    add("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="default: all; none: ours alone")
    add("--seconds", type=float, nargs="+", default=[1, 10, 60], help="of speech, about; default: 1 10 60")
    add("--peer_seconds", type=float, nargs="*", default=[10], help="of them, those that peers speak too; default: 10")
    add("--batches", type=int, nargs="*", default=[1, 2, 4, 8, 16], help="default: 1 2 4 8 16")
    add("--rounds", type=int, default=7, help="default: 7")
    add("--threads", type=int, nargs="+", default=[1, 2], help="each in a process of its own; default: 1 2")
    add("--quick", action="store_true", help="3 rounds of 1 and 10 s, batches of 1 and 8, 2 threads")
    add("--json", type=Path, help="file for all figures, written as they come")
    add("--resume", action="store_true", help="go on where --json ends, with the same options")
    add("--plot", type=Path, help="PNG: computing time against length")
    options = parser.parse_args(argv)
    if options.quick:
        vars(options).update(QUICK)
    return options


def benchmark(options: argparse.Namespace) -> dict:
    """All figures, ready for JSON. UserError for options or a model directory that cannot be used."""
    for name in ("rounds", "threads", "batches"):
        if min(np.atleast_1d(getattr(options, name)), default=1) < 1:
            raise UserError(f"--{name} has a value below 1; give at least 1")
    if min(options.seconds) <= 0:
        raise UserError("--seconds has a value that is not above 0")
    with tempfile.TemporaryDirectory() as folder:
        path = options.json or Path(folder, "speed.json")
        report = begun(options, path)
        for threads in options.threads if len(options.threads) > 1 else []:
            in_a_process(options, threads, path)
            report = json.loads(path.read_text())
        if len(options.threads) == 1:
            (threads,) = options.threads
            measure(options, threads, report, functools.partial(write_score, path, report))
        return report


def begun(options: argparse.Namespace, path: Path) -> dict:
    """The report to go on with, in ``path``. UserError where that is another's."""
    settings = {name: getattr(options, name) for name in ("seconds", "peer_seconds", "rounds", "batches", "engines")}
    if options.resume:
        with suppress(OSError, ValueError):
            report = json.loads(path.read_text())
            if report.get("benchmark") != "speed" or report.get("settings") != json.loads(json.dumps(settings)):
                raise UserError(f"{path} was measured with other options; give those, or leave --resume out")
            return report
    report = {"benchmark": "speed", **conditions(PACKAGES, **settings), "threads": {}, "done": {}}
    write_score(path, report)
    return report


def in_a_process(options: argparse.Namespace, threads: int, path: Path) -> None:
    """The figures for one number of threads, by this program in a process of its own, into the report."""
    command = [sys.executable, __file__, "--model", options.model, "--rounds", options.rounds, "--json", path]
    for name in LISTS:
        command += [f"--{name}", *getattr(options, name)]
    command += ["--threads", threads, "--resume"]
    if subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL).returncode:
        raise UserError(f"no figures for {threads} threads; what went wrong stands above")


def measure(
    options: argparse.Namespace, threads: int, report: dict, write: Callable[[], object], device: str = "cpu"
) -> None:
    """Figures for one number of threads into the report, section by section; those that are ``done`` are left out."""
    own = {name: build(name, options.model, threads, device) for name in options.engines}
    systems = own | peers(options.peers, threads)
    figures = report["threads"].setdefault(str(threads), {})
    for system in systems.values():
        about = {"weights": system.weights, "note": system.note, "real_time": {}, "first_audio_ms": {}}
        figures[system.name] = about | figures.get(system.name, {})
    recording, done = reference(options.model), report["done"].setdefault(str(threads), [])
    for system in own.values():
        system.clone(recording, RATE)
    for title, section in sections(options, threads, own, systems, recording, device):
        if title in done:
            continue
        began = time.perf_counter()
        section(figures)
        done.append(title)
        write()
        print(f"speed: {threads} threads, {title}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def sections(
    options: argparse.Namespace,
    threads: int,
    own: dict[str, Own],
    systems: dict[str, Speaker],
    recording: np.ndarray,
    device: str,
) -> Iterator[tuple[str, Section]]:
    """What is measured, one after another, each adding to the figures of one number of threads."""
    rounds, ours = options.rounds, list(own.values())
    yield "cloning", lambda figures: cloning(systems, recording, rounds, figures)
    for seconds in options.seconds:
        spoken = list(systems.values()) if seconds in options.peer_seconds else ours
        yield f"{seconds:g} s", functools.partial(speaking, spoken, seconds, rounds)
    if device == "cpu":
        yield "start and memory", lambda figures: starting(options.model, systems, threads, min(3, rounds), figures)
    yield "batches", lambda figures: batches(ours, options.batches, rounds, figures)
    yield "stages", lambda figures: staging(ours, recording, rounds, figures)


def peers(names: list[str], threads: int) -> dict[str, Speaker]:
    """Those of the peers that are installed; a line on stderr for each that is not."""
    found = {}
    for name in names:
        try:
            found[name] = build(name, SHIPPED, threads)
        except ImportError as error:
            print(f"speed: {name} is left out ({error}); it comes with the extra 'bench'", file=sys.stderr)
    return found


def cloning(systems: dict[str, Speaker], recording: np.ndarray, rounds: int, figures: dict) -> None:
    """Milliseconds to take a voice from the recording."""

    def clone(system: Speaker) -> None:
        torch.set_num_threads(system.torch_threads)
        system.clone(recording, RATE)

    cloners = {s.name: functools.partial(clone, s) for s in systems.values() if hasattr(s, "clone")}
    for name, times in interleave(cloners, rounds).items():
        figures[name]["clone_ms"] = spread(1000 * t for t in times)


def speaking(systems: list[Speaker], seconds: float, rounds: int, figures: dict) -> None:
    """Shares of real time and times to the first sound of a text of about ``seconds``."""
    text, made = text_of(seconds), {system.name: [] for system in systems}

    def say(system: Speaker) -> None:
        torch.set_num_threads(system.torch_threads)
        begin = time.perf_counter()
        stream = system.stream(text)
        samples, first = len(next(stream)), time.perf_counter() - begin
        samples += sum(len(chunk) for chunk in stream)
        made[system.name].append((first, samples / system.sample_rate))

    times = interleave({system.name: functools.partial(say, system) for system in systems}, rounds)
    shares = {
        name: [t / length for t, (_, length) in zip(taken, made[name][-rounds:])] for name, taken in times.items()
    }
    for name, taken in shares.items():
        key, over = f"{seconds:g}", quotients(taken, shares[systems[0].name])
        sound = made[name][-1][1]
        figures[name]["real_time"][key] = {**spread(taken), "over_ours": over, "sound_s": sound}
        figures[name]["first_audio_ms"][key] = spread(1000 * first for first, _ in made[name][-rounds:])


def starting(folder: Path, systems: dict[str, Speaker], threads: int, runs: int, figures: dict) -> None:
    """Start, first call and peak memory in a process of its own; for ours those of the command too."""
    for name, system in systems.items():
        figures[system.name] |= once(folder, name, threads, runs)
        if name in ENGINES:
            figures[system.name] |= once(folder, name, threads, runs, "command")


def once(folder: Path, name: str, threads: int, runs: int, kind: str = "python") -> dict:
    """What ``once.py`` measures: medians of some runs."""
    command = [sys.executable, Path(__file__).with_name("once.py"), folder, name, threads, kind]
    done = [subprocess.run([str(part) for part in command], capture_output=True, check=True) for _ in range(runs)]
    found = [json.loads(run.stdout) for run in done]
    return {key: statistics.median(f[key] for f in found) for key, value in found[0].items() if value is not None}


def batches(own: list[Own], counts: list[int], rounds: int, figures: dict) -> None:
    """Shares of real time of texts spoken together."""
    text, lengths = text_of(BATCH_SECONDS), {}

    def say(system: Own, count: int) -> None:
        torch.set_num_threads(system.torch_threads)
        lengths[system.name, count] = system.batch(text, count)

    for system in own:
        figures[system.name]["batch"] = {}
    calls = {(system.name, count): functools.partial(say, system, count) for count in counts for system in own}
    for (name, count), times in interleave(calls, rounds).items():
        figures[name]["batch"][str(count)] = spread(t / lengths[name, count] for t in times)


def staging(own: list[Own], recording: np.ndarray, rounds: int, figures: dict) -> None:
    """Milliseconds of every stage."""
    for stage, name, taken in stages(own, recording, rounds):
        figures[name].setdefault("stages_ms", {})[stage] = taken


if __name__ == "__main__":
    sys.exit(main())
