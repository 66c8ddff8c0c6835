"""How much more one score has than another on the same utterances."""

from __future__ import annotations

from collections.abc import Mapping

from latent_tts.errors import UserError
from latent_tts.evaluate.pooled import AMOUNTS, INSTRUMENTS, Amount
from latent_tts.evaluate.report import figure


def paired(before: Mapping, after: Mapping) -> tuple[dict, dict, dict]:
    """Two scores of the same texts or recordings -> the figures of either, and of ``after`` less ``before``, over the
    utterances of both: ``utterances`` and those of AMOUNTS that both hold.

    An utterance that is hard is hard for both, so the interval of the difference, whose draws take an utterance with
    both of its rows, is mostly narrower than those of the two figures let suppose (Bisani & Ney 2004). An error rate is
    over the utterances that a recogniser has read in both. UserError where no utterance is in both, where their texts
    differ, or where other instruments measured them.
    """
    for name in INSTRUMENTS:
        if before[name] != after[name]:
            raise UserError(f"{name} {before[name]} and {after[name]} may not be compared; score both by the same")
    rows = {row["id"]: row for row in before["each"]}
    pairs = [(rows[row["id"]], row) for row in after["each"] if row["id"] in rows]
    if not pairs:
        raise UserError("no utterance is in both scores; give scores of the same trials or recordings")
    found = tuple({"utterances": len(pairs)} for _ in range(3))
    for name, amount in AMOUNTS.items():
        held = [pair for pair in pairs if all(_holds(row, amount) for row in pair)]
        if held:
            for row, value in zip(found, _figures(amount, held)):
                row[name] = value
    return found


def _holds(row: Mapping, amount: Amount) -> bool:
    return row.get(amount.key) is not None and (amount.over is None or row.get(amount.over) is not None)


def _figures(amount: Amount, pairs: list[tuple[Mapping, Mapping]]) -> tuple[dict, dict, dict]:
    """Before, after, and their difference."""
    old, new = ([amount.of(row) for row in rows] for rows in zip(*pairs))
    weights, again = ([amount.weight_of(row) for row in rows] for rows in zip(*pairs))
    if weights != again:
        raise UserError("the two scores are of other texts; give scores of the same trials or recordings")
    more = [b - a for a, b in zip(old, new)]
    return figure(old, weights), figure(new, weights), figure(more, weights)
