"""Stage 6: bring the parts of other model directories into one, so that it speaks by itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from latent_tts.errors import UserError
from latent_tts.model_dir import adopt


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, required=True, help="the model directory that gets the parts")
    parser.add_argument("sources", type=Path, nargs="+", help="model directories that have them")
    options = parser.parse_args(argv)
    try:
        for source in options.sources:
            adopt(source, options.into)
    except UserError as error:
        print(f"adopt_parts: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
