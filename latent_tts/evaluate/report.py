"""What is left of a measurement: score.json, an interval beside each figure, a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from latent_tts.errors import UserError
from latent_tts.files import write_whole

BOOTSTRAP = {"draws": 2000, "level": 0.95, "seed": 0}  # of the intervals; score.json says so, too


def bootstrap_interval(
    amounts: Sequence[float],
    weights: Sequence[float] | None = None,
    draws: int = BOOTSTRAP["draws"],
    level: float = BOOTSTRAP["level"],
    seed: int = BOOTSTRAP["seed"],
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
    """Write a score as JSON, whole or not at all. A value that is not finite is a ValueError, not a ``NaN``."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(score, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


SYSTEMS = {"original": "original", "codec": "codec", "griffin_lim": "mel + Griffin-Lim"}  # and how tables call them
COLUMNS = {
    "seeds": ("seeds", 1, 0),
    "wer": ("WER %", 100, 1),
    "wer_median": ("median", 100, 0),  # of the utterances' own
    "cer": ("CER %", 100, 1),
    "doubt": ("doubt %", 100, 2),  # of a recogniser in the text that it is given
    "share_over_half": ("WER > 50 %", 100, 0),
    "share_skipped": ("skips in %", 100, 0),
    "share_repeated": ("repeats in %", 100, 0),
    "share_inserted": ("inserts in %", 100, 0),
    "stoi": ("STOI", 1, 3),
    "pesq_wb": ("PESQ-wb", 1, 2),
    "mel_distance": ("mel distance", 1, 3),
    "leak": ("leaks %", 100, 1),
    "similarity": ("similarity (Resemblyzer)", 1, 3),
    "similarity_xvector": ("similarity ({xvector_extractor})", 1, 3),
    "dnsmos_ovrl": ("DNSMOS", 1, 2),
    "real_time": ("RTF", 1, 3),
    "decoding_steps": ("steps / s", 1, 1),  # of speech
    "network_evaluations": ("evaluations / s", 1, 0),
    "parameters": ("M parameters", 1e-6, 1),
    "training": ("training min", 1 / 60, 1),
}


def markdown_table(scores: Mapping[str, Mapping]) -> str:
    """Scores of one kind by their names, as a table that ends in a line break: ``| name | n | value [low, high] | ...``
    with the figures that any of them holds, in the order of COLUMNS; "-" where null. UserError where two have their
    similarity from different extractors.
    """
    held = [key for key in COLUMNS if any(key in score for score in scores.values())]
    rows = [["name", "n", *(_common_heading(key, scores) for key in held)], ["---"] * (len(held) + 2)]
    for name, score in scores.items():
        cells = (shown(key, score.get(key)) for key in held)
        rows.append([name, str(score["utterances"]), *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def heading(key: str, score: Mapping) -> str:
    """What a column is called; the similarity of a user's own model by that model's name."""
    return COLUMNS[key][0].format(xvector_extractor=score.get("xvector_extractor"))


def _common_heading(key: str, scores: Mapping[str, Mapping]) -> str:
    names = sorted({heading(key, score) for score in scores.values() if key in score})
    if len(names) > 1:
        raise UserError(f"{' and '.join(names)} may not be compared; make a table of each")
    return names[0]


def shown(key: str, value: Mapping | None) -> str:
    """A figure of column ``key`` as tables show it: ``value [low, high]``."""
    return _cell(value, *COLUMNS[key][1:])


def _cell(value: Mapping | None, scale: float, digits: int) -> str:
    if value is None:
        return "-"
    if "interval" not in value:
        return f"{scale * value['value']:.{digits}f}"
    low, high = (f"{scale * bound:.{digits}f}" for bound in value["interval"])
    return f"{scale * value['value']:.{digits}f} [{low}, {high}]"
