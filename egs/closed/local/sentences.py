#!/usr/bin/env python3
"""Sentences of sixty words, each sentence once: sentences.py --out sentences.txt [--count N --seed S]

    sentence  clause | clause joint clause
    clause    subject verb object [place] [time]

Seven to thirteen words. Every word comes often and next to many others, so a model can learn all of them from little
speech, and none of its sentences by heart.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

WORDS = {
    "article": ["the", "a", "my", "your", "every", "this"],
    "quality": ["small", "big", "tall", "young", "happy", "quiet", "brown", "green", "lazy", "clever"],
    "being": ["dog", "cat", "bird", "king", "farmer", "teacher", "doctor", "sister", "brother", "horse"],
    "verb": ["sees", "likes", "finds", "follows", "carries", "paints", "watches", "remembers", "wants", "knows"],
    "thing": ["table", "window", "garden", "river", "letter", "mountain", "picture", "ship", "flower", "house"],
    "place": ["near", "behind", "under", "before", "without"],
    "time": ["today", "again", "slowly", "every morning", "at night"],
    "joint": ["and", "because", "while", "but"],
}
LEAST, MOST = 7, 13  # words


def sentence(rng: np.random.Generator) -> str:
    """One of LEAST to MOST words, drawn by ``rng``."""
    while True:
        clauses = [clause(rng) for _ in range(rng.integers(1, 3))]
        words = f" {word('joint', rng)} ".join(clauses)
        if LEAST <= len(words.split()) <= MOST:
            return words[0].upper() + words[1:] + "."


def clause(rng: np.random.Generator) -> str:
    parts = [noun("being", rng), word("verb", rng), noun(rng.choice(["being", "thing"]), rng)]
    if rng.random() < 0.4:
        parts += [word("place", rng), noun("thing", rng)]
    if rng.random() < 0.4:
        parts.append(word("time", rng))
    return " ".join(parts)


def noun(kind: str, rng: np.random.Generator) -> str:
    """With an article and, half the time, a quality."""
    kinds = ["article", "quality", kind] if rng.random() < 0.5 else ["article", kind]
    return " ".join(word(each, rng) for each in kinds)


def word(kind: str, rng: np.random.Generator) -> str:
    return str(rng.choice(WORDS[kind]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=720)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, found = np.random.default_rng(options.seed), {}
    while len(found) < options.count:
        found[sentence(rng)] = None
    options.out.write_text("".join(f"{line}\n" for line in found), "utf-8")
    print(f"{options.out}: {len(found)} sentences", file=sys.stderr)


if __name__ == "__main__":
    main()
