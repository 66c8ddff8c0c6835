"""What is left of a measurement: score.json, an interval beside each figure, a Markdown table."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def bootstrap_interval(
    amounts: Sequence[float],
    weights: Sequence[float] | None = None,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of ``sum(amounts) / sum(weights)`` over utterances (weights 1: of the
    mean).

    For a WER the amounts are the word errors and the weights the words of each utterance.
    Source: Bisani & Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
    ICASSP 2004.
    """
    amounts = np.asarray(amounts, dtype=np.float64)
    weights = np.ones_like(amounts) if weights is None else np.asarray(weights, dtype=np.float64)
    picks = np.random.default_rng(seed).integers(0, len(amounts), size=(draws, len(amounts)))
    ratios = amounts[picks].sum(axis=1) / weights[picks].sum(axis=1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def figure(
    amounts: Sequence[float], weights: Sequence[float] | None = None
) -> dict[str, float | list[float]]:
    """``{"value": sum(amounts) / sum(weights), "interval": [low, high]}``, the form every figure has in
    score.json.
    """
    value = float(np.sum(amounts)) / (len(amounts) if weights is None else float(np.sum(weights)))
    return {"value": value, "interval": list(bootstrap_interval(amounts, weights))}


def write_score(path: str | Path, score: Mapping) -> None:
    """Write a score as JSON, beside itself and then renamed. A value that is not finite is a ValueError,
    not a ``NaN``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(score, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(part, path)


SYSTEMS = {"original": "original", "codec": "codec", "griffin_lim": "mel + Griffin-Lim"}  # and how tables call them
COLUMNS = {
    "seeds": ("seeds", 1, 0),
    "wer": ("WER %", 100, 1),
    "cer": ("CER %", 100, 1),
    "share_over_half": ("WER > 50 %", 100, 0),
    "share_skipped": ("skips in %", 100, 0),
    "share_repeated": ("repeats in %", 100, 0),
    "share_inserted": ("inserts in %", 100, 0),
    "stoi": ("STOI", 1, 3),
    "pesq_wb": ("PESQ-wb", 1, 2),
    "mel_distance": ("mel distance", 1, 3),
    "similarity": ("similarity", 1, 3),
    "dnsmos_ovrl": ("DNSMOS", 1, 2),
    "real_time": ("RTF", 1, 3),
    "decoding_steps": ("steps / s", 1, 1),  # of speech
    "network_evaluations": ("evaluations / s", 1, 0),
    "parameters": ("M parameters", 1e-6, 1),
    "training": ("training min", 1 / 60, 1),
}


def markdown_table(scores: Mapping[str, Mapping]) -> str:
    """Scores of one kind by their names, as a table that ends in a line break: ``| name | n | value [low, high] | ...``
    with the figures that any of them holds, in the order of COLUMNS; "-" where null.
    """
    held = [key for key in COLUMNS if any(key in score for score in scores.values())]
    rows = [["name", "n", *(COLUMNS[key][0] for key in held)], ["---"] * (len(held) + 2)]
    for name, score in scores.items():
        cells = (_cell(score.get(key), *COLUMNS[key][1:]) for key in held)
        rows.append([name, str(score["utterances"]), *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(value: Mapping | None, scale: float, digits: int) -> str:
    if value is None:
        return "-"
    if "interval" not in value:
        return f"{scale * value['value']:.{digits}f}"
    low, high = (f"{scale * bound:.{digits}f}" for bound in value["interval"])
    return f"{scale * value['value']:.{digits}f} [{low}, {high}]"
