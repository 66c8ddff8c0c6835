"""Verbs whose work is done elsewhere: ``tts eval`` and ``tts train``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from latent_tts.cli.options import Parser, quieten
from latent_tts.errors import UserError

TRAINER = Path(__file__).parents[2] / "recipes" / "train.py"


def evaluate(argv: list[str]) -> int:
    """``tts eval``: figures of a codec or of spoken trials."""
    from latent_tts.evaluate import command

    quieten(False)
    command.evaluate(argv, Parser)
    return 0


def train(argv: list[str]) -> int:
    """``tts train codec|aligner|lm ...``: recipes/train.py of the checkout that this package is part of."""
    if not TRAINER.is_file():
        raise UserError(
            "training needs the recipes, which are in the repository and not in the installed package; "
            "clone it and run: tts train, or egs/mini/run.sh, there"
        )
    return subprocess.call([sys.executable, str(TRAINER), *argv])
