"""What errors in frames cost: white noise is added to a codec's frames before they are decoded.

A language model feeds on its own output, so its frames are never quite right; a codec that was trained with noise in
its bottleneck should mind less. Levels are in standard deviations of a frame's floats. Prints one table row: mean STOI
and mel distance against the originals at every level.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from stage import progress, stage

from latent_tts import audio
from latent_tts.evaluate.quality import mel_distance, stoi
from latent_tts.evaluate.reconstruction import references_of
from latent_tts.evaluate.trials import read_trials
from latent_tts.model_dir import load_codec
from latent_tts.model_files import SHIPPED


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=SHIPPED, help="model directory; default: the shipped one")
    parser.add_argument("--trials", type=Path, required=True, help="a trial list, whose references are taken")
    parser.add_argument("--levels", type=float, nargs="+", default=[0.0, 0.2, 0.4], help="standard deviations")
    parser.add_argument("--name", default="codec", help="of the row")
    options = parser.parse_args(argv)
    codec, rows = load_codec(options.model), []
    for recording in progress(references_of(read_trials(options.trials)), desc="perturb", unit="utt"):
        wav = audio.condition_reference(*audio.read_reference(recording.path, codec.sample_rate))
        rows.append([figures(codec, wav, level) for level in options.levels])
    cells = [f"{clear:.3f} / {distance:.3f}" for clear, distance in np.mean(rows, axis=0)]
    print(f"| name | {' | '.join(f'STOI / mel distance at {level:g}' for level in options.levels)} |")
    print(f"|{' --- |' * (len(cells) + 1)}\n| {options.name} | {' | '.join(cells)} |")


@torch.inference_mode()
def figures(codec, wav: np.ndarray, level: float) -> tuple[float, float]:
    """STOI and mel distance of (T,) and what comes out of its frames with noise of ``level``."""
    wav = wav[: len(wav) // codec.hop_length * codec.hop_length]
    frames = codec.encode(torch.from_numpy(wav)[None, None])
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    output = codec.decode(frames + level * noise)[0, 0].numpy()
    return stoi(wav, output, codec.sample_rate), mel_distance(wav, output, codec.sample_rate)


if __name__ == "__main__":
    sys.exit(main())
