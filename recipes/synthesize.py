"""Stage 7b: speak every trial of a list with a model directory. Sounds that are there are kept.

How long each took is noted in speed.jsonl beside them, from which the score has its real-time factor and the seed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

from stage import Clock, Part, add_parts, in_parts, progress, stage

from latent_tts import TTS, Sampling, audio
from latent_tts.data.kaldi import read_table, write_table
from latent_tts.engine.choice import ENGINES
from latent_tts.errors import UserError
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
    parser.add_argument("--rehearse", action="store_true", help="rehearse the voices: nearer to their references")
    parser.add_argument("--threads", type=int, default=0, help="0: the engine decides")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="default: onnx where it is installed")
    for field in fields(Sampling):
        parser.add_argument(
            f"--{field.name}", type=type(field.default), default=field.default, help=f"default: {field.default}"
        )
    add_parts(parser)
    options = parser.parse_args(argv)

    def do(part: Part) -> None:
        leave(part.share(read_trials(options.trials)), part)

    def join(parts: list[Part]) -> None:
        tables = [read_table(part.of(options.scp)) for part in parts]
        write_table(options.scp, {utt: path for table in tables for utt, path in table.items()})

    def leave(trials: list[Trial], part: Part) -> None:
        wavs = {trial: options.out / f"{trial.id}.wav" for trial in trials}
        synthesize(options, {trial: wav for trial, wav in wavs.items() if not wav.exists()})
        if options.scp:
            table = {trial.id: os.path.relpath(wav, options.scp.parent) for trial, wav in wavs.items()}
            write_table(part.of(options.scp), table)

    if options.scp:
        in_parts(options, options.scp, do, join)
    elif options.part or options.merge:
        raise UserError("--part and --merge need --scp, the table that shows which part is done")
    else:
        do(Part())


def synthesize(options: argparse.Namespace, todo: dict[Trial, Path]) -> None:
    """Write the sound of each trial, note and say how long that took against how long it lasts."""
    if not todo:
        return
    sampling = Sampling(**{field.name: getattr(options, field.name) for field in fields(Sampling)})
    tts = TTS.from_dir(options.model, engine=options.engine, threads=options.threads or None)
    options.out.mkdir(parents=True, exist_ok=True)
    about = {"engine": tts.engine, "threads": options.threads or "auto", **asdict(sampling)}
    spent, made, clock = 0.0, 0.0, Clock()
    for trial, path in progress(todo.items(), desc="speak", unit="utt"):
        text = trial.reference_text if options.reference_text else None
        voice = tts.clone(trial.reference, text, rehearse=options.rehearse)
        before = time.perf_counter()
        wav = tts.speak(trial.text, voice, sampling)
        took, lasts = time.perf_counter() - before, len(wav) / tts.sample_rate
        spent, made = spent + took, made + lasts
        speed.note(path.parent, trial.id, took, lasts, **about)
        audio.write(path, wav, tts.sample_rate)
    share = f"{spent / made:.3f} of real time by {tts.engine}"
    clock.summary("synthesize", f"{len(todo)} trials, {made:.1f} s at {share}", made)


if __name__ == "__main__":
    sys.exit(main())
