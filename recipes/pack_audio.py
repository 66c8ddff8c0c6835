"""Stage 2a: decode a data directory once, at one rate and one level, into an audio pack.

Recordings that cannot be read, hold NaN or are silent are named, left out and counted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage import stage

from latent_tts.data.audio_pack import pack_audio
from latent_tts.errors import UserError


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, help="Kaldi data directory")
    parser.add_argument("--pack", type=Path, required=True, help="folder for the pack")
    parser.add_argument("--sample_rate", type=int, default=16000, help="Hz, the codec's rate")
    parser.add_argument("--max_bad", type=float, default=0.05, help="share of bad recordings that is borne")
    options = parser.parse_args(argv)
    pack = pack_audio(options.data_dir, options.pack, options.sample_rate, options.max_bad)
    if pack.sample_rate != options.sample_rate:
        raise UserError(f"{options.pack} holds sound at {pack.sample_rate} Hz; give this rate a folder of its own")
    hours = len(pack.samples) / pack.sample_rate / 3600
    print(f"pack_audio: {options.data_dir}: {len(pack)} recordings, {hours:.2f} hours", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
