"""Verbs whose work is done elsewhere: ``tts eval``, ``tts train``, ``tts serve`` and ``tts demo``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


def serve(argv: list[str]) -> int:
    """``tts serve``: the speech server, and the page beside it."""
    with _extra("server"):
        from latent_tts.server import command

    quieten(False)
    return command.serve(argv, Parser)


def demo(argv: list[str]) -> int:
    """``tts demo``: the page alone."""
    with _extra("demo"):
        from latent_tts import demo as page

    quieten(False)
    return page.command(argv, Parser)


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """What is imported within belongs to an extra: UserError where that is not installed."""
    try:
        yield
    except ImportError as error:
        raise UserError(f"this needs {error.name}; install it with: pip install 'latent-tts[{name}]'") from error
