"""Stage 4a: alignments to look at: a CTM file of all of them, and pictures of a few.

Leaves alignments/NAME.png and alignments.ctm (utt 1 seconds duration phone) in the audio pack.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from stage import stage

from latent_tts.data.audio_pack import AudioPack
from latent_tts.evaluate.pictures import Spectrogram, draw


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="audio pack with alignments.json")
    parser.add_argument("--pictures", type=int, default=2, help="how many recordings are drawn")
    options = parser.parse_args(argv)
    pack, alignments = AudioPack(options.pack), json.loads((options.pack / "alignments.json").read_text())
    for utt in list(alignments)[: options.pictures]:
        found = alignments[utt]
        title, marks = f"{utt}, score {found['score']}", list(zip(found["onsets"], found["phones"]))
        panel = Spectrogram(title, pack[utt], pack.sample_rate, marks)
        draw(options.pack / "alignments" / f"{utt}.png", [panel])
    beside = options.pack / "alignments.ctm.part"
    with beside.open("w", encoding="utf-8") as table:
        for utt, found in alignments.items():
            table.writelines(ctm_lines(utt, found, pack.spans[utt][1] / pack.sample_rate))
    os.replace(beside, options.pack / "alignments.ctm")


def ctm_lines(utt: str, found: dict, seconds: float) -> list[str]:
    """A line for each phone of a recording of ``seconds``; a phone lasts until the next one begins."""
    ends = [*found["onsets"][1:], seconds]
    return [
        f"{utt} 1 {onset:.3f} {max(0.0, end - onset):.3f} {phone}\n"
        for onset, end, phone in zip(found["onsets"], ends, found["phones"])
    ]


if __name__ == "__main__":
    sys.exit(main())
