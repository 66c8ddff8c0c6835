"""How much more one score has than another on the same utterances, and how sure that is.

    recipes/compare_scores.py OUT/codec/score.json=original OUT/codec/score.json=codec
    recipes/compare_scores.py exp/before/score.json exp/after/score.json

Prints the figures of both, over the utterances of both, and what the second has more, with 95 % bootstrap intervals
over utterances. Scores are those of recipes/score.py and recipes/score_codec.py; of the latter =SYSTEM says which.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stage import stage

from latent_tts.errors import UserError
from latent_tts.evaluate.paired import paired
from latent_tts.evaluate.pooled import INSTRUMENTS
from latent_tts.evaluate.report import markdown_table


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs=2, metavar="SCORE.json[=SYSTEM]", help="before and after")
    options = parser.parse_args(argv)
    rows = paired(*(read(name) for name in options.scores))
    print(markdown_table(dict(zip(("before", "after", "after less before"), rows))), end="")


def read(text: str) -> dict:
    """PATH[=SYSTEM] -> a score with its rows. UserError where that is no score, or has no such system."""
    path, _, system = text.partition("=")
    try:
        score = json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is no score.json ({error}); score again") from error
    if not isinstance(score, dict) or not score.keys() >= set(INSTRUMENTS) or not score.keys() & {"each", "systems"}:
        raise UserError(f"{path} is no score; give what recipes/score.py, score_codec.py or doubt.py left")
    systems = score.pop("systems", {"": score})
    if system not in systems:
        raise UserError(f"{text}: want {' or '.join(f'{path}={name}' if name else path for name in systems)}")
    return score | systems[system]


if __name__ == "__main__":
    sys.exit(main())
