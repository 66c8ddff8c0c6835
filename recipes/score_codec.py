"""Score a codec by itself: the references of a trial list, encoded and decoded, against themselves.

What it loses there no language model can bring back. Leaves score.json, row.md and the sounds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from stage import progress, stage

from latent_tts import audio
from latent_tts.evaluate.report import markdown_header, markdown_row, write_score
from latent_tts.evaluate.score import score_codec
from latent_tts.evaluate.trials import read_trials
from latent_tts.model_dir import SHIPPED, load_codec


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=SHIPPED, help="model directory; default: the shipped one")
    parser.add_argument("--trials", type=Path, required=True, help="the list, a TSV file")
    parser.add_argument("--whisper", type=Path, help="CTranslate2 Whisper folder (tools/get_whisper.sh)")
    parser.add_argument("--out", type=Path, required=True, help="folder for sounds and score")
    options = parser.parse_args(argv)
    codec = load_codec(options.model)
    options.out.mkdir(parents=True, exist_ok=True)
    originals, decoded, texts = {}, {}, {}
    for trial in progress({t.reference: t for t in read_trials(options.trials)}.values(), desc="codec", unit="utt"):
        utt = trial.reference.stem
        originals[utt], decoded[utt] = options.out / f"{utt}.original.wav", options.out / f"{utt}.wav"
        texts[utt] = trial.reference_text
        wav = audio.condition_reference(*audio.read_reference(trial.reference, codec.sample_rate))
        audio.write(originals[utt], wav, codec.sample_rate)
        audio.write(decoded[utt], round_trip(codec, wav), codec.sample_rate)
    score = score_codec(originals, decoded, options.whisper, texts, threads=2)
    row = f"{markdown_header(score)}\n{markdown_row('codec', score)}\n"
    (options.out / "row.md").write_text(row, encoding="utf-8")
    write_score(options.out / "score.json", score)
    print(row, end="")


@torch.inference_mode()
def round_trip(codec, wav: np.ndarray) -> torch.Tensor:
    """(T,) -> (T,), through the codec's frames."""
    padded = np.pad(wav, (0, -len(wav) % codec.hop_length))
    return codec.decode(codec.encode(torch.from_numpy(padded)[None, None]))[0, 0, : len(wav)]


if __name__ == "__main__":
    sys.exit(main())
