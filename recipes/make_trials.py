"""Stage 7a: decide once which sentence is said in whose voice: unseen speakers, sentences not trained on.

References are the recordings of --references (a data directory of test speakers); sentences are the texts of
--sentences that no recording of --seen shares.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from latent_tts.data.kaldi import read_data_dir
from latent_tts.errors import UserError
from latent_tts.evaluate.trials import fresh_sentences, make_trials, write_trials


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=Path, required=True, help="data directory of the test speakers")
    parser.add_argument("--sentences", type=Path, nargs="+", required=True, help="data directories")
    parser.add_argument("--seen", type=Path, required=True, help="data directory of the training set")
    parser.add_argument("--out", type=Path, required=True, help="the list, a TSV file")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--words", type=int, nargs=2, default=(5, 20), help="length of a sentence")
    options = parser.parse_args(argv)
    if options.out.exists():
        return 0
    seen = [entry.text for entry in read_data_dir(options.seen)]
    entries = [entry for folder in options.sentences for entry in read_data_dir(folder)]
    try:
        sentences = fresh_sentences(entries, seen, tuple(options.words))
        trials = make_trials(read_data_dir(options.references), sentences, options.count, options.out.parent)
    except UserError as error:
        print(f"make_trials: error: {error}", file=sys.stderr)
        return 2
    write_trials(options.out, trials)
    print(f"make_trials: {len(trials)} trials in {options.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
