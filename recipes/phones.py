"""Stage 2b: normalise the text of a data directory and turn it into phones.

Leaves DIR/phones (utt phone phone ...) and, in the audio pack, phones.json with their ids. A text without anything to
speak is named, skipped and counted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from stage import progress, stage

from latent_tts.data.kaldi import read_data_dir, write_table
from latent_tts.errors import UserError
from latent_tts.text.normalize import normalize
from latent_tts.text.phonemes import Phonemizer
from latent_tts.text.symbols import SymbolTable


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, help="Kaldi data directory")
    parser.add_argument("--pack", type=Path, required=True, help="its audio pack")
    parser.add_argument("--table", type=Path, help="where to leave phones.txt, the symbol table")
    options = parser.parse_args(argv)
    symbols, phonemizer, phones, bad = SymbolTable.english(), Phonemizer(), {}, 0
    for entry in progress(read_data_dir(options.data_dir), desc=f"phones {options.data_dir.name}", unit="utt"):
        try:
            phones[entry.utt] = phonemizer(normalize(entry.text))
        except UserError as error:
            bad += 1
            print(f"phones: {entry.utt}: {error}", file=sys.stderr)
    write_table(options.data_dir / "phones", {utt: " ".join(tokens) for utt, tokens in phones.items()})
    if options.table:
        symbols.write(options.table)
    beside = options.pack / "phones.json.part"
    beside.write_text(json.dumps({utt: symbols.ids(tokens) for utt, tokens in phones.items()}))
    os.replace(beside, options.pack / "phones.json")
    print(f"phones: {options.data_dir}: {len(phones)} utterances, {bad} left out", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
