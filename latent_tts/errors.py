"""The one exception a user is meant to read, and how a program shows it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path


class UserError(ValueError):
    """Input that cannot be used: the message is one line that says what is wrong and what to do about it."""


def program(main: Callable[[list[str] | None], int | None]) -> Callable[..., int]:
    """``main(argv)`` as a command: its exit status, 0 where it returns none. A UserError becomes one line on stderr,
    with the name of the command's file, and status 2."""
    name = Path(getattr(main, "__wrapped__", main).__code__.co_filename).stem

    @functools.wraps(main)
    def command(argv: list[str] | None = None) -> int:
        try:
            return main(argv) or 0
        except UserError as error:
            print(f"{name}: error: {error}", file=sys.stderr)
            return 2

    return command
