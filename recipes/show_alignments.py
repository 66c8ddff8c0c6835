"""Stage 4a: alignments to look at: a CTM file of all of them, pictures and TextGrids of a few.

Leaves alignments/NAME.png, alignments/NAME.TextGrid (for Praat: phones, and words spelled in them) and alignments.ctm
(utt 1 seconds duration phone) in the audio pack.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stage import stage

from latent_tts.align.intervals import ctm, phone_intervals, text_grid, word_intervals
from latent_tts.data.audio_pack import AudioPack
from latent_tts.evaluate.pictures import Spectrogram, draw
from latent_tts.files import write_whole
from latent_tts.text.symbols import SymbolTable


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="audio pack with alignments.json")
    parser.add_argument("--pictures", type=int, default=2, help="how many recordings are drawn")
    parser.add_argument("--text_grids", type=int, default=2, help="how many recordings get a TextGrid")
    options = parser.parse_args(argv)
    pack, alignments = AudioPack(options.pack), json.loads((options.pack / "alignments.json").read_text())
    pictures = options.pack / "alignments"
    for utt in list(alignments)[: options.pictures]:
        found = alignments[utt]
        title, marks = f"{utt}, score {found['score']}", list(zip(found["onsets"], found["phones"]))
        draw(pictures / f"{utt}.png", [Spectrogram(title, pack[utt], pack.sample_rate, marks)])
    seconds = {utt: pack.spans[utt][1] / pack.sample_rate for utt in alignments}
    phones = {utt: phone_intervals(f["phones"], f["onsets"], seconds[utt]) for utt, f in alignments.items()}
    for utt in list(alignments)[: options.text_grids]:
        words = word_intervals(phones[utt], SymbolTable.SEPARATORS)
        write(pictures / f"{utt}.TextGrid", text_grid({"words": words, "phones": phones[utt]}, seconds[utt]))
    write(options.pack / "alignments.ctm", "".join(ctm(utt, spoken) for utt, spoken in phones.items()))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    write_whole(path, text.encode())


if __name__ == "__main__":
    sys.exit(main())
