#!/usr/bin/env python3
"""Makes a trial list of one of Seed-TTS, F5-TTS or VALL-E: import_trials.py meta.lst data/trials_seed.tsv

The form is known by its shape (latent_tts/data/prompt_lists.py). F5-TTS's list names utterances of LibriSpeech, so it
needs the folder of that part: --librispeech LibriSpeech/test-clean. A reference that is not there, or a broken line, is
one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from latent_tts.errors import program
from latent_tts.evaluate.trials import read_trials, write_trials


@program
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path, help="the list")
    parser.add_argument("out", type=Path, help="the trial list to write, a TSV file")
    parser.add_argument("--librispeech", type=Path, metavar="DIR", help="folder of the prompts of F5-TTS's list")
    options = parser.parse_args(argv)
    trials = read_trials(options.list, options.librispeech)
    write_trials(options.out, trials)
    print(f"{options.out}: {len(trials)} trials", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
