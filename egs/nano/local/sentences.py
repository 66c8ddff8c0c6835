#!/usr/bin/env python3
"""A list of sentences to be spoken by a synthesiser: sentences.py --out sentences.txt [--count N --seed S]

Taken from quotations (Debian's package fortunes) and the King James Bible (bible-kjv), in random order; a line each,
4 to 20 words of plain English, every line once.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from latent_tts.errors import UserError
from latent_tts.text.normalize import split_sentences

FORTUNES = Path("/usr/share/games/fortunes")
UNFIT = {"ascii-art", "art", "perl", "knghtbrd", "linux", "computers", "debian", "magic", "translate-me", "song-poems"}
PLAIN = re.compile(r"[A-Z][A-Za-z',;: -]+[.!?]")


def quotations() -> Iterator[str]:
    """Paragraphs of the fortune files that hold prose."""
    for path in sorted(p for p in FORTUNES.iterdir() if not p.suffix and p.is_file() and p.name not in UNFIT):
        for quote in path.read_text("utf-8", "replace").split("\n%\n"):
            yield " ".join(re.split(r"\n\s*--", quote)[0].split())


def verses() -> Iterator[str]:
    """The verses of the Bible, without their numbers."""
    try:
        text = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"the command 'bible' does not run ({error}); install Debian's package bible-kjv") from None
    for line in text.splitlines():
        yield line.partition(" ")[2]


def fit(sentence: str) -> bool:
    """Whether a sentence is plain: letters, no abbreviations in capitals, 4 to 20 words."""
    words = sentence.split()
    return bool(PLAIN.fullmatch(sentence)) and 4 <= len(words) <= 20 and not re.search(r"[A-Z]{2}", sentence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not FORTUNES.is_dir():
        raise UserError(f"{FORTUNES} is not there; install Debian's package fortunes")
    rng = np.random.default_rng(options.seed)
    sources = []
    for source in (quotations(), verses()):
        found = sorted({s for text in source for s in split_sentences(text) if fit(s)})
        sources.append([found[i] for i in rng.permutation(len(found))])
    half = min(options.count // 2, *map(len, sources))
    chosen = sorted(set(sources[0][: options.count - half]) | set(sources[1][:half]))
    options.out.write_text("".join(chosen[i] + "\n" for i in rng.permutation(len(chosen))), "utf-8")
    print(f"{options.out}: {len(chosen)} sentences", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"sentences.py: error: {error}")
