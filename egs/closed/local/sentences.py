#!/usr/bin/env python3
"""Sentences of one form and few words, each of them once: sentences.py --out sentences.txt [--count N --seed S]

    The QUALITY BEING VERB OWNER LOOK THING TIME.

Every place has words of its own, two to four of them, so a model that knows which words a text holds can say it in
order, and since each word comes with all others, it can know no sentence by heart. Every fourth line holds two
sentences, long enough to be continued behind their first three seconds.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np

PAIR = 4  # each of so many lines has two sentences
PLACES = (
    ("the",),
    ("small", "tall", "young", "clever"),
    ("king", "farmer", "teacher", "doctor"),
    ("sees", "follows", "remembers", "paints"),
    ("my", "your"),
    ("brown", "green", "happy", "quiet"),
    ("river", "window", "mountain", "bird"),
    ("today", "at night", "every morning"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=480, help="lines")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sentences = [" ".join(words).capitalize() + "." for words in itertools.product(*PLACES)]
    chosen = (sentences[i] for i in np.random.default_rng(options.seed).permutation(len(sentences)))
    lines = (" ".join(itertools.islice(chosen, 2 if i % PAIR == PAIR - 1 else 1)) for i in range(options.count))
    lines = [line for line in lines if line]
    options.out.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    print(f"{options.out}: {len(lines)} lines of {len(sentences)} sentences", file=sys.stderr)


if __name__ == "__main__":
    main()
