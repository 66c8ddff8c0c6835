"""Scores of models that differ in their seed alone, as one, with intervals that hold for another training as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from latent_tts.errors import UserError


def hierarchical_interval(
    amounts: Sequence[Sequence[float]],
    weights: Sequence[Sequence[float]] | None = None,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of ``sum(amounts) / sum(weights)`` over trainings and utterances, (S, U) each:
    S models that differ in their seed say the same U utterances.

    A draw takes S of the models and, apart from that, U of the utterances, each with replacement, and of that grid all
    cells: an utterance that is hard is hard for every model. To draw utterances anew within each model (the nested
    form) would take them for independent and the interval would come out too short. Source: Owen, "The pigeonhole
    bootstrap", Annals of Applied Statistics 1(2), 2007. One model gives the interval of ``bootstrap_interval``; of few
    models the spread between them is understated, its variance by a factor of (S - 1) / S, as any bootstrap does.
    """
    amounts = np.asarray(amounts, dtype=np.float64)
    weights = np.ones_like(amounts) if weights is None else np.asarray(weights, dtype=np.float64)
    rng, (models, utterances) = np.random.default_rng(seed), amounts.shape
    columns, rows = (_times_drawn(rng, size, draws) for size in (utterances, models))
    ratios = ((rows @ amounts) * columns).sum(axis=1) / ((rows @ weights) * columns).sum(axis=1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _times_drawn(rng: np.random.Generator, size: int, draws: int) -> np.ndarray:
    """(draws, size): how often each of ``size`` things comes when as many are drawn with replacement."""
    picks = rng.integers(0, size, size=(draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(picks.ravel(), minlength=draws * size).reshape(draws, size).astype(np.float64)


INSTRUMENTS = ("recogniser", "extractor")


class Amount(NamedTuple):
    """What a figure sums of each row of ``each``: the value under ``key``, or, with ``above``, whether it is more than
    that; and what it divides the sum by: the sum under ``over``, or the number of rows."""

    key: str
    over: str | None = None
    above: float | None = None

    def of(self, row: Mapping) -> float:
        return float(row[self.key] if self.above is None else row[self.key] > self.above)

    def weight_of(self, row: Mapping) -> float:
        return float(row[self.over]) if self.over else 1.0


AMOUNTS = {  # by the figures' names
    "wer": Amount("word_errors", over="words"),
    "cer": Amount("char_errors", over="chars"),
    "doubt": Amount("doubt", over="tokens"),
    "share_over_half": Amount("wer", above=0.5),
    "share_skipped": Amount("skipped", above=0),
    "share_repeated": Amount("repeated", above=0),
    "share_inserted": Amount("inserted", above=0),
    "leak": Amount("leak", above=0),
    "stoi": Amount("stoi"),
    "pesq_wb": Amount("pesq_wb"),
    "mel_distance": Amount("mel_distance"),
    "similarity": Amount("similarity"),
    "dnsmos_ovrl": Amount("dnsmos_ovrl"),
}


def pooled(scores: Sequence[Mapping]) -> dict:
    """Scores of the same trials by models that differ in their seed alone, as one: ``seeds``, ``utterances`` of each,
    the INSTRUMENTS, and the figures of AMOUNTS over all rows with intervals by ``hierarchical_interval``. Error rates
    are there where a recogniser was, and ``wer_median`` of the rows, which a recogniser that loops on babble does not
    move. UserError where the scores are of other trials or by other instruments.
    """
    grids = [sorted(score["each"], key=lambda row: row["id"]) for score in scores]
    measured = [{name: score[name] for name in INSTRUMENTS} for score in scores]
    if any((m, [r["id"] for r in g]) != (measured[0], [r["id"] for r in grids[0]]) for m, g in zip(measured, grids)):
        raise UserError("scores of other trials or by other instruments cannot be pooled; score all of them again")
    figures = measured[0] | {"seeds": {"value": len(scores)}, "utterances": len(grids[0])}
    for name, amount in AMOUNTS.items():
        if scores[0].get(name) is None:
            continue
        amounts = [[amount.of(row) for row in grid] for grid in grids]
        weights = [[amount.weight_of(row) for row in grid] for grid in grids]
        interval = hierarchical_interval(amounts, weights)
        figures[name] = {"value": float(np.sum(amounts) / np.sum(weights)), "interval": list(interval)}
    if "wer" in figures:
        figures["wer_median"] = {"value": float(np.median([row["wer"] for grid in grids for row in grid]))}
    return figures
