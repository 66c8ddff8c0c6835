"""Intervals, score files and rows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from latent_tts.errors import UserError
from latent_tts.evaluate.report import bootstrap_interval, figure, markdown_table, write_score


def test_the_interval_of_a_mean_is_the_one_of_the_textbook():
    # For n draws of spread s the bootstrap of the mean tends to mean +- 1.96 s / sqrt(n).
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    low, high = bootstrap_interval(values, draws=5000)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_the_interval_of_a_rate_weighs_by_length():
    # Every utterance has a rate of one in four, so no draw of them can have another, whatever the lengths.
    assert bootstrap_interval([1, 2, 25], [4, 8, 100]) == (0.25, 0.25)
    assert figure([0, 10], [90, 10])["value"] == 0.1  # a mean of rates would say 0.5


def test_the_interval_covers_what_it_should():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_interval(rng.normal(0, 1, 50), draws=400)
        covered += low <= 0 <= high
    assert 180 <= covered <= 198  # 95 % of 200 is 190


def test_a_score_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "exp" / "score.json"
    write_score(path, {"wer": figure([1, 0], [4, 4]), "note": "Grüße"})
    assert json.loads(path.read_text())["wer"]["value"] == 0.125
    with pytest.raises(ValueError):
        write_score(path, {"wer": float("nan")})
    assert json.loads(path.read_text())["note"] == "Grüße"
    assert [p.name for p in path.parent.iterdir()] == ["score.json"]


def test_a_table_has_a_row_for_each_score():
    score = {
        "utterances": 2,
        "wer": {"value": 0.125, "interval": [0.0, 0.25]},
        "mel_distance": {"value": 0.5, "interval": [0.4, 0.6]},
        "dnsmos_ovrl": {"value": 3.5, "interval": [3.0, 4.0]},
        "pesq_wb": None,
    }
    assert markdown_table({"nano": score, "its codec": {**score, "wer": None}}).splitlines() == [
        "| name | n | WER % | PESQ-wb | mel distance | DNSMOS |",
        "| --- | --- | --- | --- | --- | --- |",
        "| nano | 2 | 12.5 [0.0, 25.0] | - | 0.500 [0.400, 0.600] | 3.50 [3.00, 4.00] |",
        "| its codec | 2 | - | - | 0.500 [0.400, 0.600] | 3.50 [3.00, 4.00] |",
    ]


def test_a_row_may_lack_what_others_have():
    row = {"utterances": 3, "seeds": {"value": 2}, "dnsmos_ovrl": {"value": 2.5, "interval": [2, 3]}}
    costs = {"parameters": {"value": 8.1e6}, "training": {"value": 90.0}}
    assert markdown_table({"recordings": row | {"seeds": None}, "lm": row | costs}).splitlines() == [
        "| name | n | seeds | DNSMOS | M parameters | training min |",
        "| --- | --- | --- | --- | --- | --- |",
        "| recordings | 3 | - | 2.50 [2.00, 3.00] | - | - |",
        "| lm | 3 | 2 | 2.50 [2.00, 3.00] | 8.1 | 1.5 |",
    ]


def test_a_column_of_similarity_names_its_extractor_and_holds_no_other():
    value = {"value": 0.5, "interval": [0.4, 0.6]}
    plain = {"utterances": 2, "similarity": value, "leak": {"value": 0.02, "interval": [0.0, 0.04]}}
    base = plain | {"similarity_xvector": value, "xvector_extractor": "WavLMForXVector base", "real_time": None}
    assert markdown_table({"plain": plain, "base": base}).splitlines() == [
        "| name | n | leaks % | similarity (Resemblyzer) | similarity (WavLMForXVector base) | RTF |",
        "| --- | --- | --- | --- | --- | --- |",
        "| plain | 2 | 2.0 [0.0, 4.0] | 0.500 [0.400, 0.600] | - | - |",
        "| base | 2 | 2.0 [0.0, 4.0] | 0.500 [0.400, 0.600] | 0.500 [0.400, 0.600] | - |",
    ]
    with pytest.raises(UserError, match="base. and .*large. may not be compared"):
        markdown_table({"base": base, "large": base | {"xvector_extractor": "WavLMForXVector large"}})
