"""Models side by side: how long each takes for a second of speech, and how many steps and evaluations that is.

    python benchmarks/real_time.py --trials LIST.tsv --system pointer 10 exp/a/model --system prefix 10 exp/b/model

All of them are in one process and take turns at the same trials, by torch unless told otherwise, so that a slow moment
of the machine is slow for all. recipes/compare.sh calls this.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from timing import cell, conditions, interleave, markdown_table, spread

from latent_tts import TTS, Sampling, Voice
from latent_tts.engine.choice import ENGINES
from latent_tts.errors import UserError, program
from latent_tts.evaluate.report import write_score
from latent_tts.evaluate.trials import Trial, read_trials
from latent_tts.model_dir import load_lm

PACKAGES = ("latent-tts", "torch", "onnxruntime", "numpy")


@program
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "--system",
        nargs=3,
        action="append",
        required=True,
        metavar=("NAME", "STEPS", "MODEL"),
        help="as often as wanted",
    )
    add("--trials", type=Path, required=True, help="the list, of which the first --count are spoken")
    add("--count", type=int, default=3, help="default: 3")
    add("--rounds", type=int, default=7, help="times that each system speaks; default: 7")
    add("--threads", type=int, default=0, help="0: torch decides")
    add("--engine", choices=ENGINES, default="torch", help="default: torch")
    add("--out", type=Path, help="JSON file")
    options = parser.parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    report = measure(options)
    if options.out:
        write_score(options.out, report)
    print(table(report), end="")
    return 0


def measure(options: argparse.Namespace) -> dict:
    """Conditions, and under ``systems`` for each name and number of steps its ``costs`` and its ``real_time``."""
    if options.rounds < 1 or options.count < 1:
        raise UserError("--rounds and --count want numbers from 1 on")
    trials = read_trials(options.trials)[: options.count]
    settings = {"rounds": options.rounds, "trials": len(trials), "threads": torch.get_num_threads()}
    loaded: dict[str, tuple[TTS, list[Voice]]] = {}
    calls: dict[tuple[str, str], Callable[[], float]] = {}
    systems: dict[str, dict[str, dict]] = {}
    for name, steps, folder in options.system:
        if folder not in loaded:
            tts = TTS.from_dir(folder, engine=options.engine, threads=options.threads or None)
            loaded[folder] = tts, [tts.clone(trial.reference, trial.reference_text or None) for trial in trials]
        sampling = Sampling(steps=int(steps))
        calls[name, steps] = partial(speak, *loaded[folder], trials, sampling)
        systems.setdefault(name, {})[steps] = costs(*loaded[folder], trials, sampling)
    sounds = {key: call() for key, call in calls.items()}
    for (name, steps), times in interleave(calls, options.rounds).items():
        systems[name][steps]["real_time"] = spread(time / sounds[name, steps] for time in times)
    return {**conditions(PACKAGES, engine=options.engine, **settings), "systems": systems}


def speak(tts: TTS, voices: list[Voice], trials: list[Trial], sampling: Sampling) -> float:
    """Say all of them -> seconds of sound."""
    return sum(len(tts.speak(t.text, voice, sampling)) for t, voice in zip(trials, voices)) / tts.sample_rate


def costs(tts: TTS, voices: list[Voice], trials: list[Trial], sampling: Sampling) -> dict[str, float]:
    """``decoding_steps`` and ``network_evaluations`` a second of speech, by the frames of each sentence."""
    total = {"decoding_steps": 0, "network_evaluations": 0}
    lm, spoken = load_lm(tts.folder), 0
    for trial, voice in zip(trials, voices):
        for phones in tts.sentences(trial.text):
            chunks = tts.model.generate(tts.prompt(phones, voice), sampling)
            frames = sum(int(chunk.alive.sum()) for chunk in chunks)
            spoken += frames
            for name, count in lm.evaluations(frames, sampling).items():
                total[name] += count
    return {name: count / (spoken / tts.model.frame_rate) for name, count in total.items()}


def table(report: dict) -> str:
    """The report as Markdown."""
    rows = [
        [name, steps, *(f"{figures[key]:.1f}" for key in ("decoding_steps", "network_evaluations"))]
        + [cell(figures["real_time"])]
        for name, points in report["systems"].items()
        for steps, figures in points.items()
    ]
    return markdown_table(["name", "solver steps", "steps / s", "evaluations / s", "RTF: median [min, max]"], rows)


if __name__ == "__main__":
    sys.exit(main())
