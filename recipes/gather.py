"""One table of several codecs' scores: python recipes/gather.py base=exp/base/eval/score.json ..."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stage import stage

from latent_tts.errors import UserError
from latent_tts.evaluate.report import markdown_table


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", nargs="+", metavar="NAME=SCORE.JSON", help="what `tts eval codec` left")
    options = parser.parse_args(argv)
    print(markdown_table(dict(map(read, options.scores))), end="")


def read(named: str) -> tuple[str, dict]:
    """NAME=FILE -> (name, the codec's figures)."""
    name, separator, path = named.partition("=")
    if not separator:
        raise UserError(f"{named!r} is not NAME=SCORE.JSON")
    return name, json.loads(Path(path).read_text())["systems"]["codec"]


if __name__ == "__main__":
    sys.exit(main())
