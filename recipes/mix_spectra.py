"""Where a codec falls short: its reconstructions are scored with parts of the original's spectrum in their place.

    recipes/mix_spectra.py --trials TRIALS [--model MODEL] --out OUT

What a part of the original brings is what that part of the reconstruction lacks: its magnitudes, its phases, or what
lies below or above each of ``--edges``. Leaves the sounds in OUT/wav and score.json, and prints a table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage import progress, stage

from latent_tts import audio
from latent_tts.evaluate.mixed import mixtures
from latent_tts.evaluate.reconstruction import references_of, round_trip
from latent_tts.evaluate.report import markdown_table, write_score
from latent_tts.evaluate.score import require_packages, score_reconstructions
from latent_tts.evaluate.trials import read_trials
from latent_tts.model_dir import load_codec
from latent_tts.model_files import SHIPPED


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SHIPPED, help="model directory; default: the shipped one")
    parser.add_argument("--trials", type=Path, required=True, help="a trial list, whose references are taken")
    parser.add_argument("--edges", type=float, nargs="+", default=[500.0, 1000.0, 2000.0], help="Hz")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    options = parser.parse_args(argv)
    require_packages()
    codec, wavs = load_codec(options.model), {}
    for recording in progress(references_of(read_trials(options.trials)), desc="mix", unit="utt"):
        original = audio.condition_reference(*recording.read(codec.sample_rate))
        output = round_trip(codec, original)[1]
        made = {"original": original, "codec": output}
        for name, wav in (made | mixtures(original, output, codec.sample_rate, options.edges)).items():
            path = options.out / "wav" / name.replace(" ", "_") / f"{recording.utt}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            audio.write(path, wav, codec.sample_rate)
            wavs.setdefault(name, {})[recording.utt] = path
    score = score_reconstructions(wavs["original"], wavs)
    write_score(options.out / "score.json", score)
    print(markdown_table(score["systems"]), end="")


if __name__ == "__main__":
    sys.exit(main())
