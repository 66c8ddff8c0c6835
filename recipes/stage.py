"""What the stages share: input that cannot be used is one line and exit status 2, and bars show on terminals alone."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from latent_tts.errors import UserError


def stage(main: Callable[[list[str] | None], None]) -> Callable[..., int]:
    """Make ``main(argv)`` a command: 0 when it returns, 2 and one line on stderr for what the user can put right."""
    name = Path(main.__code__.co_filename).stem

    @functools.wraps(main)
    def command(argv: list[str] | None = None) -> int:
        try:
            main(argv)
        except (UserError, FloatingPointError) as error:
            problem = str(error)
        except FileNotFoundError as error:
            if error.filename is None:
                raise
            problem = f"{error.filename} is not there; an earlier stage leaves it, run that first"
        else:
            return 0
        print(f"{name}: error: {problem}", file=sys.stderr)
        return 2

    return command


def progress(items: Iterable, **about: str) -> tqdm:
    """A progress bar where somebody sees it; tts.sh sets SHOW_PROGRESS when a terminal stands behind its pipe."""
    return tqdm(items, disable=not (sys.stderr.isatty() or os.environ.get("SHOW_PROGRESS")), **about)
