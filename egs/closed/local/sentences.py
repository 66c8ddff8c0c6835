#!/usr/bin/env python3
"""Sentences of one form and few words, each sentence once: sentences.py --out sentences.txt [--count N --seed S]

    The QUALITY BEING VERB OWNER LOOK THING TIME.

Every place has words of its own, two to four of them, so a model that knows which words a text holds can say it in
order, and since each word comes with all others, it can know no sentence by heart.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np

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
    parser.add_argument("--count", type=int, default=480)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sentences = [" ".join(words).capitalize() + "." for words in itertools.product(*PLACES)]
    chosen = np.random.default_rng(options.seed).permutation(len(sentences))[: options.count]
    options.out.write_text("".join(sentences[i] + "\n" for i in chosen), "utf-8")
    print(f"{options.out}: {len(chosen)} of {len(sentences)} sentences", file=sys.stderr)


if __name__ == "__main__":
    main()
