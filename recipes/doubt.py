"""How much less sure a recogniser is of what is said behind codecs, a finer measure than a word error rate.

    recipes/doubt.py --data DIR --whisper whisper-base --models MODEL_1 MODEL_2 --out OUT

Of each token of a recording's text, behind those before it, it is asked what its probability lacks to one. Leaves
score.json, for recipes/compare_scores.py, and prints the mean of the recordings and of each codec, and what it has more
than the recordings.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from stage import progress, stage

from latent_tts import audio
from latent_tts.codec.autoencoder import Codec
from latent_tts.data.kaldi import read_data_dir
from latent_tts.errors import UserError
from latent_tts.evaluate.doubt import WINDOW, doubts
from latent_tts.evaluate.paired import paired
from latent_tts.evaluate.reconstruction import Recording, choose_recordings, round_trip
from latent_tts.evaluate.report import markdown_table, write_score
from latent_tts.evaluate.score import require_packages
from latent_tts.evaluate.wer import RECOGNISER_RATE, is_ctranslate2, load_recogniser
from latent_tts.model_dir import load_codec
from latent_tts.model_files import SHIPPED

if TYPE_CHECKING:
    from faster_whisper import WhisperModel


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data directory, whose texts are true")
    parser.add_argument("--count", type=int, default=150, help="how many recordings of it; default: 150")
    parser.add_argument("--whisper", type=Path, required=True, help="a CTranslate2 folder (tools/get_whisper.sh)")
    parser.add_argument("--models", type=Path, nargs="+", default=[SHIPPED], help="default: the one that is shipped")
    parser.add_argument("--out", type=Path, required=True, help="folder for score.json")
    options = parser.parse_args(argv)
    require_packages(options.whisper)
    if not is_ctranslate2(options.whisper):
        raise UserError(f"{options.whisper}: no CTranslate2 recogniser; fetch one: bash tools/get_whisper.sh DIR")
    codecs = {str(path): load_codec(path) for path in options.models}
    recogniser = load_recogniser(options.whisper, torch.get_num_threads())
    recordings = choose_recordings(read_data_dir(options.data), options.count, seconds=(3.0, WINDOW))
    rows: dict[str, list[dict]] = {name: [] for name in ("original", *codecs)}
    for recording in progress(recordings, desc="doubt", unit="utt"):
        rows["original"].append(row_of(recogniser, recording))
        for name, codec in codecs.items():
            rows[name].append(row_of(recogniser, recording, codec))
    about = {"recogniser": options.whisper.resolve().name, "extractor": None}
    systems = {name: {"each": each} for name, each in rows.items()}
    write_score(options.out / "score.json", about | {"systems": systems})
    original, table = about | systems["original"], {}
    for name in codecs:
        table["original"], table[name], table[f"{name} less original"] = paired(original, about | systems[name])
    print(markdown_table(table), end="")


def row_of(recogniser: WhisperModel, recording: Recording, codec: Codec | None = None) -> dict:
    """The doubt in what is said in a recording, or in what a codec makes of it."""
    rate = codec.sample_rate if codec else RECOGNISER_RATE
    wav = audio.condition_reference(*recording.read(rate))
    if codec:
        wav = audio.resample(round_trip(codec, wav)[1], rate, RECOGNISER_RATE)
    lacking = doubts(recogniser, wav, recording.text)
    return {"id": recording.utt, "doubt": float(lacking.sum()), "tokens": len(lacking)}


if __name__ == "__main__":
    sys.exit(main())
