#!/usr/bin/env python3
"""Speed of speaking, side by side with piper-tts and pocket-tts: python benchmarks/speed.py --json speed.json

Shares of real time at several lengths, the time to the first sound, what cloning costs, start and memory in a process
of its own; for our engines every stage, batches, and a step's cost as the past grows. The systems take turns, so that
what else the machine does hits all alike; the last column is a system's time over ours, round by round.

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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from speech_systems import ENGINES, PEERS, RATE, Own, Speaker, build, text_of
from speed_tables import markdown, plot
from timing import conditions, interleave, quotients, spread

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.evaluate.report import write_score
from latent_tts.frames import Sampling
from latent_tts.model_files import SHIPPED
from latent_tts.nn.state import State

CLONED = 10.0  # seconds of the recording that is cloned
BATCH_SECONDS = 4.0  # of each text in a batch
PASTS = (64, 128, 256, 512, 1024)  # frames a stream has behind it
PACKAGES = ("latent-tts", "torch", "onnxruntime", "pocket-tts", "piper-tts")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", type=Path, default=SHIPPED, help="model directory; default: the shipped one")
    add("--engines", nargs="+", choices=ENGINES, default=["onnx", "torch"], help="the first is what others are over")
    add("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="default: all; none: ours alone")
    add("--seconds", type=float, nargs="+", default=[1, 10, 60], help="of speech, about; default: 1 10 60")
    add("--batches", type=int, nargs="*", default=[1, 2, 4, 8, 16], help="default: 1 2 4 8 16")
    add("--rounds", type=int, default=7, help="default: 7")
    add("--threads", type=int, nargs="+", default=[1, 2], help="each in a process of its own; default: 1 2")
    add("--json", type=Path, help="file for all figures")
    add("--plot", type=Path, help="PNG: computing time against length")
    options = parser.parse_args(argv)
    try:
        report = benchmark(options)
    except UserError as error:
        print(f"speed: error: {error}", file=sys.stderr)
        return 2
    if options.json:
        write_score(options.json, report)
    if options.plot:
        plot(report, options.plot)
    print(markdown(report), end="")
    return 0


def benchmark(options: argparse.Namespace) -> dict:
    """All figures, ready for JSON. UserError for options or a model directory that cannot be used."""
    for name in ("rounds", "threads", "batches"):
        if min(np.atleast_1d(getattr(options, name)), default=1) < 1:
            raise UserError(f"--{name} has a value below 1; give at least 1")
    if min(options.seconds) <= 0:
        raise UserError("--seconds has a value that is not above 0")
    settings = {name: getattr(options, name) for name in ("seconds", "rounds", "batches", "engines")}
    report = {"benchmark": "speed", **conditions(PACKAGES, **settings), "threads": {}}
    if len(options.threads) == 1:
        (threads,) = options.threads
        report["threads"][str(threads)] = measure(options, threads)
        return report
    for threads in options.threads:
        report["threads"] |= in_a_process(options, threads)["threads"]
    return report


def in_a_process(options: argparse.Namespace, threads: int) -> dict:
    """The report for one number of threads, by this program in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "part.json")
        command = [sys.executable, __file__, "--model", options.model, "--rounds", options.rounds, "--json", path]
        for name in ("engines", "peers", "seconds", "batches"):
            command += [f"--{name}", *getattr(options, name)]
        done = subprocess.run([str(part) for part in (*command, "--threads", threads)], stdout=subprocess.PIPE)
        if done.returncode:
            raise UserError(f"no figures for {threads} threads; what went wrong stands above")
        return json.loads(path.read_text())


def measure(options: argparse.Namespace, threads: int, device: str = "cpu") -> dict:
    """Figures for one number of threads."""
    systems = {name: build(name, options.model, threads, device) for name in options.engines}
    own = list(systems.values())
    systems |= peers(options.peers, threads)
    recording = reference(options.model, CLONED)
    report = {
        system.name: {"weights": system.weights, "note": system.note, "real_time": {}, "first_audio_ms": {}}
        for system in systems.values()
    }
    for name, times in interleave(cloning(systems, recording), options.rounds).items():
        report[systems[name].name]["clone_ms"] = spread(1000 * t for t in times)
    for seconds in options.seconds:
        speaking(list(systems.values()), seconds, options.rounds, report)
    if device == "cpu":
        for name, system in systems.items():
            report[system.name] |= once(options.model, name, threads, min(3, options.rounds))
    for system in own:
        report[system.name]["batch"] = {}
    batches(own, options, report)
    for stage, name, figures in stages(own, recording, options.rounds):
        report[name].setdefault("stages_ms", {})[stage] = figures
    return report


def peers(names: list[str], threads: int) -> dict[str, Speaker]:
    """Those of the peers that are installed; a line on stderr for each that is not."""
    found = {}
    for name in names:
        try:
            found[name] = build(name, SHIPPED, threads)
        except ImportError as error:
            print(f"speed: {name} is left out ({error}); it comes with the extra 'bench'", file=sys.stderr)
    return found


def reference(folder: Path, seconds: float) -> np.ndarray:
    """(T,) so many seconds at RATE: the model's own recording, over and over."""
    wav, rate = audio.read_reference(next(folder.glob("reference.flac"), SHIPPED / "reference.flac"))
    return np.resize(audio.resample(wav, rate, RATE), round(seconds * RATE))


def cloning(systems: dict[str, Speaker], recording: np.ndarray) -> dict[str, Callable[[], object]]:
    def clone(system: Speaker) -> None:
        torch.set_num_threads(system.torch_threads)
        system.clone(recording, RATE)

    return {name: functools.partial(clone, system) for name, system in systems.items() if hasattr(system, "clone")}


def speaking(systems: list[Speaker], seconds: float, rounds: int, report: dict) -> None:
    """Shares of real time and times to the first sound of a text of about ``seconds``, into the report."""
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
        report[name]["real_time"][key] = {**spread(taken), "over_ours": over, "sound_s": sound}
        report[name]["first_audio_ms"][key] = spread(1000 * first for first, _ in made[name][-rounds:])


def once(folder: Path, name: str, threads: int, runs: int) -> dict:
    """Start, first call and peak memory in a process of its own: medians of some runs."""
    command = [sys.executable, str(Path(__file__).with_name("once.py")), str(folder), name, str(threads)]
    found = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(runs)]
    return {key: statistics.median(f[key] for f in found) for key, value in found[0].items() if value is not None}


def batches(own: list[Own], options: argparse.Namespace, report: dict) -> None:
    """Shares of real time of texts spoken together, into the report."""
    text, lengths = text_of(BATCH_SECONDS), {}

    def say(system: Own, count: int) -> None:
        torch.set_num_threads(system.torch_threads)
        lengths[system.name, count] = system.batch(text, count)

    calls = {(s.name, count): functools.partial(say, s, count) for count in options.batches for s in own}
    for (name, count), times in interleave(calls, options.rounds).items():
        report[name]["batch"][str(count)] = spread(t / lengths[name, count] for t in times)


@torch.inference_mode()
def stages(own: list[Own], recording: np.ndarray, rounds: int):
    """(stage, system, milliseconds) of each of our stages; a step is one frame, of 80 ms at 12.5 frames a second."""
    calls = {}
    for system in own:
        for stage, (call, repeats) in stages_of(system, recording).items():
            calls[stage, system] = (call, repeats)
    order = sorted(calls, key=lambda key: key[0])

    def run(system: Own, call: Callable[[], object], repeats: int) -> None:
        torch.set_num_threads(system.torch_threads)
        for _ in range(repeats):
            call()
        if system.tts.device.type == "cuda":
            torch.cuda.synchronize()

    times = interleave({key: functools.partial(run, key[1], *calls[key]) for key in order}, rounds)
    for (stage, system), taken in times.items():
        yield stage, system.name, spread(1000 * t / calls[stage, system][1] for t in taken)


def stages_of(system: Own, recording: np.ndarray) -> dict[str, tuple[Callable[[], object], int]]:
    """Stage -> a call and how often to repeat it."""
    tts, lm, codec = system.tts, system.tts.lm, system.tts.codec
    device, width = tts.device, lm.config.dim
    prefix = torch.randn(1, 101, width, device=device)
    step = torch.randn(1, 1, width, device=device)
    cond, noise = (torch.randn(1, n, device=device) for n in (width, lm.config.frame_dim))
    frames, decoding = torch.randn(1, 8, lm.config.frame_dim, device=device), State()
    found = {
        "text of 10 s to phones": (lambda: tts.sentences(text_of(10)), 3),
        f"clone {CLONED:g} s": (lambda: tts.clone(recording, sample_rate=RATE), 1),
        "lm, prefix of 8 s": (lambda: lm.transformer(prefix, State()), 1),
        "head, a frame": (lambda: lm.head.sample(cond, lm.null, Sampling(), noise), 10),
        "codec, decode a frame": (lambda: codec.decode(frames[:, :1], decoding), 10),
        "codec, decode 8 frames": (lambda: codec.decode(frames, decoding), 2),
    }
    for past in PASTS:
        state = State()
        lm.transformer(torch.randn(1, past, width, device=device), state)
        found[f"lm, a step after {past:4d}"] = (functools.partial(lm.transformer, step, state), 10)
    return found


if __name__ == "__main__":
    sys.exit(main())
