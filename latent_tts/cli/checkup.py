"""``tts doctor``: what is installed, and whether it works."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from latent_tts import __version__
from latent_tts.cli.options import Parser, add_model_options, choose_device, load, quieten

CALIBRATION_SECONDS = 2.0


def doctor(argv: list[str]) -> int:
    """Say of every part what was found, 1 where one is broken."""
    parser = Parser(prog="tts doctor", description="Say what is installed and whether it works.")
    add_model_options(parser)
    args = parser.parse_args(argv)
    quieten(True)
    broken = 0
    for name, check in CHECKS.items():
        try:
            mark, found = "ok", check(args)
        except Exception as error:  # whatever it is, this command is there to report it
            mark, found, broken = "BROKEN", " ".join(f"{type(error).__name__}: {error}".split()), 1
        print(f"{name:<10} {mark:<6} {found}", flush=True)
    return broken


def _about_package(args: argparse.Namespace) -> str:
    import latent_tts

    return f"{__version__} in {Path(latent_tts.__file__).parent}, Python {sys.version.split()[0]}"


def _about_command(args: argparse.Namespace) -> str:
    """Coqui's package installs a ``tts`` as well: which one does the shell find?"""
    import shutil

    found = shutil.which("tts")
    if found is None:
        return f"not on the PATH; use {Path(sys.executable).parent / 'latent-tts'} or python -m latent_tts"
    with open(found, "rb") as script:
        ours = b"latent_tts" in script.read(4096)
    return f"{found} is {'ours' if ours else 'another program; use latent-tts instead'}"


def _about_torch(args: argparse.Namespace) -> str:
    import torch

    return f"{torch.__version__}, best device: {choose_device('auto')}"


def _about_threads(args: argparse.Namespace) -> str:
    """Seconds that the work of one frame takes with 1, 2, 4 ... threads: more are not always faster."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    now = torch.get_num_threads()
    counts = sorted({1, *(2**k for k in range(1, 7) if 2**k <= cores), cores, now})
    try:
        speeds = {count: _steps_a_second(count, CALIBRATION_SECONDS / len(counts)) for count in counts}
    finally:
        torch.set_num_threads(now)
    best = max(speeds, key=speeds.get)
    measured = ", ".join(f"{count}: {speed / speeds[1]:.1f}" for count, speed in speeds.items())
    advice = "" if speeds[best] < 1.15 * speeds[now] else f"; set OMP_NUM_THREADS={best}"
    return f"{now} on {cores} cores; speed by threads {{{measured}}}, {best} is fastest{advice}"


def _steps_a_second(threads: int, seconds: float) -> float:
    """How often a second layers like the language model's run over one frame, the shape in which speech is made."""
    import torch

    torch.set_num_threads(threads)
    layers = [torch.nn.Linear(512, 512) for _ in range(24)]
    x, count = torch.zeros(2, 512), 0
    with torch.inference_mode():
        start = time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            for layer in layers:
                x = layer(x)
            count += 1
    return count / spent


def _about_espeak(args: argparse.Namespace) -> str:
    from latent_tts.text.phonemes import Phonemizer

    return f'"hello" is {" ".join(Phonemizer()("hello"))}'


def _about_model(args: argparse.Namespace) -> str:
    from latent_tts import model_files

    folder, tts = args.model or model_files.SHIPPED, load(args)
    return f"{folder} loads, {tts.sample_rate} Hz, engine {tts.engine}, voices are tied to {tts.model_hash}"


def _about_weights(args: argparse.Namespace) -> str:
    """The beginning of each file's SHA-256, to compare with those of another machine."""
    import hashlib

    from latent_tts import model_files

    files = sorted(Path(args.model or model_files.SHIPPED).glob("*.safetensors"))
    return ", ".join(f"{file.stem} {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}" for file in files)


def _about_voices(args: argparse.Namespace) -> str:
    from latent_tts.voices import VoiceStore

    store = VoiceStore()
    return f"{len(store.list())} saved in {store.folder}"


CHECKS: dict[str, Callable[[argparse.Namespace], str]] = {
    "latent_tts": _about_package,
    "command": _about_command,
    "torch": _about_torch,
    "threads": _about_threads,
    "espeak-ng": _about_espeak,
    "model": _about_model,
    "weights": _about_weights,
    "voices": _about_voices,
}
