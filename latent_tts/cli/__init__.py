"""The console command ``tts`` (also ``latent-tts`` and ``python -m latent_tts``): its verbs and its manners.

Sound and answers go to standard output, everything else to standard error. Exit status: 0 done, 1 doctor
found something broken, a row of a batch failed or the disk is full, 2 unusable input (one line says what),
130 interrupted, 141 nobody reads our output.
Only the standard library is imported up here, so that ``tts --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from latent_tts.cli.checkup import doctor
from latent_tts.cli.handed_over import demo, evaluate, serve, train
from latent_tts.cli.jobs import batch
from latent_tts.cli.saved_voices import voice
from latent_tts.cli.shells import completion
from latent_tts.cli.speaking import speak, stream
from latent_tts.errors import UserError

VERBS: dict[str, Callable[[list[str]], int]] = {
    "speak": speak,
    "stream": stream,
    "batch": batch,
    "voice": voice,
    "eval": evaluate,
    "train": train,
    "demo": demo,
    "serve": serve,
    "doctor": doctor,
    "completion": completion,
}


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status; ``argv`` without the program's name."""
    argv = list(sys.argv[1:] if argv is None else argv)
    verb = argv.pop(0) if argv and argv[0] in VERBS else "speak"
    try:
        return _flushed(VERBS[verb], argv)
    except UserError as error:
        print("tts: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tts: interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # of our output: that of our input is a UserError
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at exit
        if isinstance(error, BrokenPipeError):
            return 141
        print("tts: error:", error.strerror or error, file=sys.stderr)
        return 1


def _flushed(verb: Callable[[list[str]], int], argv: list[str]) -> int:
    """Run a verb, and learn now whether somebody read what it said."""
    try:
        return verb(argv)
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()
