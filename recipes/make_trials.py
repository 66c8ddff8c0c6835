"""Stage 7a: decide once which sentence is said in whose voice: unseen speakers, sentences not trained on.

References are the recordings of --references (a data directory of test speakers); sentences are those in the texts of
--sentences that no recording of --seen shares. A list that is there already is kept.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from stage import stage

from latent_tts.data.kaldi import Entry, read_data_dir
from latent_tts.evaluate.trials import fresh_sentences, make_trials, write_trials
from latent_tts.text.normalize import split_sentences


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=Path, required=True, help="data directory of the test speakers")
    parser.add_argument("--sentences", type=Path, nargs="+", required=True, help="data directories")
    parser.add_argument("--seen", type=Path, required=True, help="data directory of the training set")
    parser.add_argument("--out", type=Path, required=True, help="the list, a TSV file")
    parser.add_argument("--count", type=int, default=50, help="how many")
    parser.add_argument("--words", type=int, nargs=2, default=(5, 20), metavar=("LEAST", "MOST"), help="in a sentence")
    options = parser.parse_args(argv)
    if options.out.exists():
        return
    seen = [sentence.text for sentence in sentences_of(options.seen)]
    spoken = [sentence for folder in options.sentences for sentence in sentences_of(folder)]
    fresh = fresh_sentences(spoken, seen, tuple(options.words))
    trials = make_trials(read_data_dir(options.references), fresh, options.count, options.out.parent)
    write_trials(options.out, trials)
    print(f"make_trials: {len(trials)} trials in {options.out}", file=sys.stderr)


def sentences_of(data_dir: Path) -> list[Entry]:
    """The utterances of a data directory, one entry for each sentence that is said in them."""
    return [replace(entry, text=text) for entry in read_data_dir(data_dir) for text in split_sentences(entry.text)]


if __name__ == "__main__":
    sys.exit(main())
