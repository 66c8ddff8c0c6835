"""Stage 6b: bring the parts of other model directories into one, so that it speaks by itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage import stage

from latent_tts.model_dir import adopt


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, required=True, help="the model directory that gets the parts")
    parser.add_argument("sources", type=Path, nargs="+", help="model directories that have them")
    options = parser.parse_args(argv)
    for source in options.sources:
        adopt(source, options.into)


if __name__ == "__main__":
    sys.exit(main())
