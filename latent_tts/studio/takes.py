"""Takes: a sentence that was spoken badly is spoken again with another seed, and the best is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Voice
from latent_tts.studio.judge import Judge, Report
from latent_tts.tts import ROWS, TTS, Spoken

MOST = 20
STRIDE = 0x9E3779B97F4A7C15 >> 1  # between the seeds of two takes, so that those of seed 1 are not those of seed 2


class Take(NamedTuple):
    """The sentence that was kept, what it is like, and how often it was spoken."""

    spoken: Spoken
    report: Report | None  # None where nobody judged
    takes: int

    @property
    def good(self) -> bool:
        return self.report is None or self.report.good

    def as_dict(self) -> dict:
        """The report for JSON; without a judge, what is known of the take."""
        own = {"text": self.spoken.text, "seed": self.spoken.seed}
        return (self.report.as_dict() if self.report else own) | {"takes": self.takes}


class Booth:
    """Where sentences are spoken, judged and spoken again, ``takes`` times at most. Without a ``judge`` once.
    ``heard`` is told of every take as it is made.

    The first take has the seed that is asked for, a further one a seed that follows from it: a sentence is the same
    alone and in a batch.
    """

    def __init__(
        self,
        tts: TTS,
        judge: Judge | None = None,
        takes: int = 1,
        heard: Callable[[Spoken], object] = lambda spoken: None,
    ):
        if not 1 <= takes <= MOST:
            raise UserError(f"takes is {takes}; choose a value from 1 to {MOST}")
        if takes > 1 and judge is None:
            raise UserError("several takes need a judge that chooses; leave its checks on, or give takes=1")
        self.tts, self.judge, self.takes, self.heard = tts, judge, takes, heard

    def say(self, sentences: Sequence[str], voices: Sequence[Voice], sampling: Sampling = Sampling()) -> list[Take]:
        """The best take of each normalised sentence (``TTS.written``), each in its voice."""
        seeds = sampling.seeds(len(sentences))
        best: dict[int, Take] = {}
        todo, tried = list(range(len(sentences))), 0
        while todo and tried < self.takes:
            together = min(self.takes - tried, max(1, ROWS // len(todo)))  # few rows cost hardly more than one
            draws = [(i, number) for i in todo for number in range(tried + 1, tried + together + 1)]
            again = replace(sampling, seed=tuple(seed_of_take(seeds[i], number) for i, number in draws))
            said = {}
            for j, spoken in self.tts.say([sentences[i] for i, _ in draws], [voices[i] for i, _ in draws], again):
                said[j] = spoken
                self.heard(spoken)
            for j, (i, number) in enumerate(draws):
                if i not in best or not best[i].good:
                    best[i] = self._better(best.get(i), said[j], sampling.speed, number)
            todo, tried = [i for i in todo if not best[i].good], tried + together
        return [best[i] for i in range(len(sentences))]

    def _better(self, before: Take | None, spoken: Spoken, speed: float, number: int) -> Take:
        """The better one of the take before and this one."""
        report = self.judge(spoken, speed) if self.judge else None
        if before and report and before.report and before.report.rank >= report.rank:
            return before._replace(takes=number)
        return Take(spoken, report, number)


def seed_of_take(seed: int, number: int) -> int:
    """The seed of a sentence's take, from 1 on: the first has the sentence's own."""
    return (seed + (number - 1) * STRIDE) % 2**63
