"""How much of a reference leaks into what is spoken after it: its last words, heard before the text begins."""

from __future__ import annotations

from latent_tts.evaluate.wer import standardise


def leaked_words(text: str, reference_text: str, heard: str) -> int:
    """How many words of the reference ``heard`` begins with that the text has no place for.

    All three go through the standardiser first. Of the beginnings of ``heard`` that are a run of words of
    ``reference_text`` it is the one without which there are fewest word errors against ``text``, if leaving it out
    saves more errors than half its words: most of it was put in. So a first word that is misread as one of the
    reference's does not count, nor do words with which both begin. A word that the cut of a reference left in halves is
    no word of it and hides those behind it; it is still a word error. A word of the text that is said twice counts
    where the reference has it, too.
    """
    said, reference, words = (standardise(each).split() for each in (text, reference_text, heard))
    errors = _errors_by_start(said, words)
    runs = [count for count in range(1, len(words) + 1) if _holds(reference, words[:count])]
    best = min(runs, key=lambda count: (errors[count], -count), default=0)
    return best if errors[0] - errors[best] > best / 2 else 0


def _errors_by_start(said: list[str], heard: list[str]) -> list[int]:
    """The word errors of ``heard[k:]`` against ``said`` for k from 0 to all: one table of edits, filled backwards."""
    row = list(range(len(said), -1, -1))  # of nothing heard: all that is left to say is lacking
    found = [row[0]]
    for word in reversed(heard):
        above, row = row, [0] * len(row)
        row[-1] = above[-1] + 1
        for place in range(len(said) - 1, -1, -1):
            row[place] = min(above[place + 1] + (said[place] != word), above[place] + 1, row[place + 1] + 1)
        found.append(row[0])
    return found[::-1]


def _holds(words: list[str], run: list[str]) -> bool:
    return any(words[start : start + len(run)] == run for start in range(len(words) - len(run) + 1))
