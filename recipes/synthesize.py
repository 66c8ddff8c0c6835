"""Stage 7b: speak every trial of a list with a model directory. Files that are there already are kept.

How long each took is noted in speed.jsonl beside them, from which the score has its real-time factor and the seed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

from stage import progress, stage

from latent_tts import TTS, Sampling, audio
from latent_tts.data.kaldi import write_table
from latent_tts.engine.choice import ENGINES
from latent_tts.evaluate import speed
from latent_tts.evaluate.trials import Trial, read_trials


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="model directory; default: the shipped one")
    parser.add_argument("--trials", type=Path, required=True, help="the list, a TSV file")
    parser.add_argument("--out", type=Path, required=True, help="folder for <trial id>.wav")
    parser.add_argument("--scp", type=Path, help="table of all the files, written last: trial id, path")
    parser.add_argument("--reference_text", action="store_true", help="tell the model what the references say")
    parser.add_argument("--threads", type=int, default=0, help="0: the engine decides")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="default: onnx where it is installed")
    for field in fields(Sampling):
        parser.add_argument(
            f"--{field.name}", type=type(field.default), default=field.default, help=f"default: {field.default}"
        )
    options = parser.parse_args(argv)
    sampling = Sampling(**{field.name: getattr(options, field.name) for field in fields(Sampling)})
    options.out.mkdir(parents=True, exist_ok=True)
    wavs = {trial: options.out / f"{trial.id}.wav" for trial in read_trials(options.trials)}
    todo = {trial: wav for trial, wav in wavs.items() if not wav.exists()}
    if todo:
        tts = TTS.from_dir(options.model, engine=options.engine, threads=options.threads or None)
        speak(tts, todo, sampling, options.reference_text, options.threads)
    if options.scp:
        write_table(options.scp, {t.id: os.path.relpath(wav, options.scp.parent) for t, wav in wavs.items()})


def speak(tts: TTS, todo: dict[Trial, Path], sampling: Sampling, with_text: bool, threads: int) -> None:
    """Write the sound of each trial, note and say how long that took against how long it lasts."""
    spent = made = 0.0
    about = {"engine": tts.engine, "threads": threads or "auto", **asdict(sampling)}
    for trial, path in progress(todo.items(), desc="speak", unit="utt"):
        voice = tts.clone(trial.reference, trial.reference_text if with_text else None)
        before = time.perf_counter()
        wav = tts.speak(trial.text, voice, sampling)
        took, lasts = time.perf_counter() - before, len(wav) / tts.sample_rate
        spent, made = spent + took, made + lasts
        speed.note(path.parent, trial.id, took, lasts, **about)
        audio.write(path, wav, tts.sample_rate)
    share = f"{spent / made:.3f} of real time by {tts.engine}"
    print(f"synthesize: {len(todo)} trials, {made:.1f} s at {share}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
