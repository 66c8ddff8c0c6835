"""Shards that recipes/export_shar.py wrote, as one frame pack again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage import stage

from latent_tts.data.shar import Shards, unpack


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, required=True, help="folder with shards.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for the frame pack")
    options = parser.parse_args(argv)
    if not (options.out / "clips.json").exists():
        unpack(Shards(options.shards), options.out)


if __name__ == "__main__":
    sys.exit(main())
