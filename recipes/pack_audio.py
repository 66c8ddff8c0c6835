"""Stage 2a: decode a data directory once, at one rate and one level, into an audio pack.

Recordings that cannot be read, hold NaN or are silent are named, left out and counted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage import Clock, Part, add_parts, in_parts, progress, stage

from latent_tts.data.audio_pack import AudioPack, join_packs, pack_entries
from latent_tts.data.kaldi import read_data_dir
from latent_tts.errors import UserError


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, help="Kaldi data directory")
    parser.add_argument("--pack", type=Path, required=True, help="folder for the pack")
    parser.add_argument("--sample_rate", type=int, default=16000, help="Hz, the codec's rate")
    parser.add_argument("--max_bad", type=float, default=0.05, help="share of bad recordings that is borne")
    add_parts(parser)
    options = parser.parse_args(argv)

    def do(part: Part) -> None:
        entries, clock = part.share(read_data_dir(options.data_dir)), Clock()
        listed = progress(entries, f"decode {options.pack.name}", "utt")
        pack_entries(listed, options.pack, options.sample_rate, options.max_bad, part.suffix)
        pack = AudioPack(options.pack, suffix=part.suffix)
        what = f"{options.data_dir}: {len(pack)} recordings, {pack.bad} bad"
        clock.summary("pack_audio", what, len(pack.samples) / pack.sample_rate)

    def join(parts: list[Part]) -> None:
        join_packs(options.pack, [part.suffix for part in parts], options.max_bad)

    in_parts(options, options.pack / "index.json", do, join, options.pack / "samples.npy")
    if not options.part:
        held = AudioPack(options.pack).sample_rate
        if held != options.sample_rate:
            raise UserError(f"{options.pack} holds sound at {held} Hz; give this rate a folder of its own")


if __name__ == "__main__":
    sys.exit(main())
