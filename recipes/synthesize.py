"""Stage 7b: speak every trial of a list with a model directory. Files that are there already are kept."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from latent_tts import TTS, Sampling, audio
from latent_tts.errors import UserError
from latent_tts.evaluate.trials import read_trials


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="model directory; default: the shipped one")
    parser.add_argument("--trials", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for <trial id>.wav")
    parser.add_argument("--reference_text", action="store_true", help="tell the model what the references say")
    parser.add_argument("--threads", type=int, default=0, help="0: torch decides")
    for name, default in vars(Sampling()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    options = parser.parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    sampling = Sampling(**{name: getattr(options, name) for name in vars(Sampling())})
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        tts = TTS.from_dir(options.model)
        todo = [t for t in read_trials(options.trials) if not (options.out / f"{t.id}.wav").exists()]
    except UserError as error:
        print(f"synthesize: error: {error}", file=sys.stderr)
        return 2
    spent = made = 0.0
    for trial in tqdm(todo, desc="speak", unit="utt"):
        voice = tts.clone(trial.reference, trial.reference_text if options.reference_text else None)
        before = time.perf_counter()
        wav = tts.speak(trial.text, voice, sampling)
        spent, made = spent + time.perf_counter() - before, made + len(wav) / tts.sample_rate
        audio.write(options.out / f"{trial.id}.wav", wav, tts.sample_rate)
    if todo:
        print(f"synthesize: {len(todo)} trials, {made:.1f} s at {spent / made:.3f} of real time", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
