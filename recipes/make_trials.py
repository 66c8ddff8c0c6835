"""Stage 7a: decide once what is said in whose voice. A list that is there already is kept.

--protocol unseen: references are the recordings of --references (a data directory of test speakers); sentences are
those in the texts of --sentences that no recording of --seen shares.
--protocol prefix: the first 3 s of a recording are the reference, to the end of a word, and the rest of it is said.
--protocol cross: the recording before, of the same speaker, is the reference; of a single one its first half.

The latter two want --pack, the audio pack of --references with its alignments (recipes/align.py): they say which words
a reference holds. NAME.tsv gets its references in NAME/references, and in NAME/recordings what the speaker said in
place of each trial's speech, for recipes/score.py to score.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from stage import stage

from latent_tts.data.audio_pack import AudioPack
from latent_tts.data.kaldi import Entry, read_data_dir
from latent_tts.errors import UserError
from latent_tts.evaluate.protocols import PROTOCOLS, aligned_recordings
from latent_tts.evaluate.trials import Trial, fresh_sentences, make_trials, write_trials
from latent_tts.text.normalize import split_sentences


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=("unseen", *PROTOCOLS), default="unseen", help="default: unseen")
    parser.add_argument("--references", type=Path, required=True, help="data directory of the test speakers")
    parser.add_argument("--sentences", type=Path, nargs="+", help="data directories; unseen alone")
    parser.add_argument("--seen", type=Path, help="data directory of the training set; unseen alone")
    parser.add_argument("--words", type=int, nargs=2, default=(5, 20), metavar=("LEAST", "MOST"), help="in a sentence")
    parser.add_argument("--pack", type=Path, help="audio pack with alignments.json; prefix and cross alone")
    lengths = {"default": (4.0, 10.0), "metavar": ("LEAST", "MOST"), "help": "seconds of a recording; default: 4 10"}
    parser.add_argument("--lengths", type=float, nargs=2, **lengths)
    parser.add_argument("--untold", action="store_true", help="keep quiet about what references say")
    parser.add_argument("--out", type=Path, required=True, help="the list, a TSV file")
    parser.add_argument("--count", type=int, default=50, help="how many, at most")
    options = parser.parse_args(argv)
    if options.out.exists():
        return
    trials = unseen(options) if options.protocol == "unseen" else spoken(options)
    if options.untold:
        trials = [replace(trial, reference_text="") for trial in trials]
    write_trials(options.out, trials)
    print(f"make_trials: {len(trials)} trials in {options.out}", file=sys.stderr)


def unseen(options: argparse.Namespace) -> list[Trial]:
    """Sentences that were not trained on."""
    if not options.sentences or not options.seen:
        raise UserError("--protocol unseen wants --sentences and --seen")
    seen = [sentence.text for sentence in sentences_of(options.seen)]
    pool = [sentence for folder in options.sentences for sentence in sentences_of(folder)]
    fresh = fresh_sentences(pool, seen, tuple(options.words))
    return make_trials(read_data_dir(options.references), fresh, options.count, options.out.parent)


def spoken(options: argparse.Namespace) -> list[Trial]:
    """What the recordings themselves say."""
    if not options.pack:
        raise UserError(f"--protocol {options.protocol} wants --pack, the audio pack of --references, aligned")
    alignments = json.loads((options.pack / "alignments.json").read_text())
    recordings = aligned_recordings(read_data_dir(options.references), AudioPack(options.pack), alignments)
    make = PROTOCOLS[options.protocol]
    return make(recordings, options.count, options.out.with_suffix(""), lengths=tuple(options.lengths))


def sentences_of(data_dir: Path) -> list[Entry]:
    """The utterances of a data directory, one entry for each sentence that is said in them."""
    return [replace(entry, text=text) for entry in read_data_dir(data_dir) for text in split_sentences(entry.text)]


if __name__ == "__main__":
    sys.exit(main())
