"""Labelled stretches of a sound, its phones and words, and the files that hold them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """What is said from ``begin`` to ``end``, in seconds."""

    begin: float
    end: float
    label: str

    def later(self, seconds: float) -> Interval:
        return Interval(self.begin + seconds, self.end + seconds, self.label)


def phone_intervals(phones: Sequence[str], onsets: Sequence[float], seconds: float) -> list[Interval]:
    """A phone lasts until the next one begins, the last one until the end of the sound."""
    ends = [*onsets[1:], seconds]
    return [Interval(onset, max(onset, end), phone) for phone, onset, end in zip(phones, onsets, ends)]


def word_intervals(
    phones: Sequence[Interval], separators: Collection[str], words: Iterable[str] | None = None
) -> list[Interval]:
    """Each run of phones without a separator is a word, labelled with the next of ``words`` or with its phones."""
    runs: list[list[Interval]] = [[]]
    for phone in phones:
        if phone.label in separators:
            runs.append([])
        else:
            runs[-1].append(phone)
    runs = [run for run in runs if run]
    labels = ["".join(phone.label for phone in run) for run in runs] if words is None else words
    return [Interval(run[0].begin, run[-1].end, label) for run, label in zip(runs, labels, strict=True)]


def ctm(name: str, intervals: Iterable[Interval]) -> str:
    """Lines of a CTM file (NIST's time-marked conversation): recording, channel, begin, duration, label."""
    return "".join(f"{name} 1 {i.begin:.3f} {i.end - i.begin:.3f} {i.label}\n" for i in intervals)


def text_grid(tiers: dict[str, Sequence[Interval]], seconds: float) -> str:
    """A TextGrid of Praat (in full, as text) with an interval tier for each of ``tiers``, whose intervals are in order.

    What lies between two intervals becomes one without a label, since a tier has no gaps. What is shorter than half a
    millisecond is left out: Praat knows no interval without length.
    """
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds:.3f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers.items(), 1):
        filled = _without_gaps(intervals, round(seconds, 3))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{_quoted(name)}"']
        lines += ["        xmin = 0", f"        xmax = {seconds:.3f}", f"        intervals: size = {len(filled)}"]
        for place, (begin, end, label) in enumerate(filled, 1):
            lines += [f"        intervals [{place}]:", f"            xmin = {begin:.3f}"]
            lines += [f"            xmax = {end:.3f}", f'            text = "{_quoted(label)}"']
    return "\n".join(lines) + "\n"


def _without_gaps(intervals: Iterable[Interval], seconds: float) -> list[Interval]:
    """Intervals in milliseconds that follow one another from 0 to ``seconds``."""
    filled, here = [], 0.0
    for begin, end, label in intervals:
        begin, end = max(here, round(begin, 3)), min(round(end, 3), seconds)
        if begin >= end:
            continue
        if begin > here:
            filled.append(Interval(here, begin, ""))
        filled.append(Interval(begin, end, label))
        here = end
    return filled + [Interval(here, seconds, "")] if here < seconds else filled


def _quoted(text: str) -> str:
    return text.replace('"', '""')
