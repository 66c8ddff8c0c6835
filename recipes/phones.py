"""Stage 2b: normalise the text of a data directory and turn it into phones.

Leaves DIR/phones (utt phone phone ...) and, in the audio pack, phones.json with their ids. A text without anything to
speak is named, skipped and counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stage import Clock, Part, add_parts, in_parts, joined, progress, stage

from latent_tts.data.kaldi import Entry, read_data_dir, write_table
from latent_tts.errors import UserError
from latent_tts.files import write_whole
from latent_tts.text.normalize import normalize
from latent_tts.text.phonemes import Phonemizer
from latent_tts.text.symbols import SymbolTable


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, help="Kaldi data directory")
    parser.add_argument("--pack", type=Path, required=True, help="its audio pack")
    parser.add_argument("--table", type=Path, help="where to leave phones.txt, the symbol table")
    add_parts(parser)
    options = parser.parse_args(argv)
    left = options.pack / "phones.json"

    def do(part: Part) -> None:
        leave(spoken(part.share(read_data_dir(options.data_dir)), options.data_dir), part)

    def join(parts: list[Part]) -> None:
        leave(joined([part.of(left) for part in parts]), Part())

    def leave(found: dict[str, list[int]], part: Part) -> None:
        symbols = SymbolTable.english()
        names = {utt: " ".join(symbols.symbols[i] for i in ids) for utt, ids in found.items()}
        write_table(part.of(options.data_dir / "phones"), names)
        if options.table:
            symbols.write(options.table)
        write_whole(part.of(left), json.dumps(found).encode())

    in_parts(options, left, do, join, options.data_dir / "phones")


def spoken(entries: list[Entry], data_dir: Path) -> dict[str, list[int]]:
    """The phones' ids of every text that has something to speak."""
    symbols, phonemizer, found, clock = SymbolTable.english(), Phonemizer(), {}, Clock()
    for entry in progress(entries, desc=f"phones {data_dir.name}", unit="utt"):
        try:
            found[entry.utt] = symbols.ids(phonemizer(normalize(entry.text)))
        except UserError as error:
            print(f"phones: {entry.utt}: {error}", file=sys.stderr)
    what = f"{data_dir}: {len(found)} utterances, {len(entries) - len(found)} left out"
    clock.summary("phones", what, sum(entry.seconds for entry in entries))
    return found


if __name__ == "__main__":
    sys.exit(main())
