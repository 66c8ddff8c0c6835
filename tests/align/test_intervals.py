"""Intervals of phones and words, and what others read of the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from latent_tts.align.intervals import Interval, ctm, phone_intervals, text_grid, word_intervals
from latent_tts.text.symbols import SymbolTable

PHONES = ["_", "h", "ˈaɪ", ",", "j", "ˈuː", "."]
SPOKEN = phone_intervals(PHONES, [0.0, 0.1, 0.15, 0.4, 0.6, 0.66, 0.9], 1.2)


def test_a_phone_lasts_until_the_next():
    assert SPOKEN[1] == (0.1, 0.15, "h") and SPOKEN[-1] == (0.9, 1.2, ".")
    assert SPOKEN[3].later(2) == (2.4, 2.6, ",")


def test_words_are_what_separators_leave():
    words = word_intervals(SPOKEN, SymbolTable.SEPARATORS, ["Hi", "you"])
    assert words == [(0.1, 0.4, "Hi"), (0.6, 0.9, "you")]
    assert [word.label for word in word_intervals(SPOKEN, SymbolTable.SEPARATORS)] == ["hˈaɪ", "jˈuː"]
    with pytest.raises(ValueError):
        word_intervals(SPOKEN, SymbolTable.SEPARATORS, ["Hi"])


def test_ctm():
    assert ctm("a-1", SPOKEN[:2]) == "a-1 1 0.000 0.100 _\na-1 1 0.100 0.050 h\n"


def read(path: Path, text: str) -> dict[str, list[tuple]]:
    """What praatio finds in a TextGrid."""
    textgrid = pytest.importorskip("praatio.textgrid")
    path.write_text(text, "utf-8")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    assert grid.minTimestamp == 0
    return {name: [tuple(entry) for entry in grid.getTier(name).entries] for name in grid.tierNames}


def test_a_text_grid_is_read_back(tmp_path):
    words = word_intervals(SPOKEN, SymbolTable.SEPARATORS, ['say "hi"', "you"])
    found = read(tmp_path / "a.TextGrid", text_grid({"words": words, "phones": SPOKEN}, 1.2))
    assert list(found) == ["words", "phones"] and found["phones"] == SPOKEN
    gaps = [(0.0, 0.1, ""), (0.4, 0.6, ""), (0.9, 1.2, "")]
    assert [entry for entry in found["words"] if not entry[2]] == gaps
    assert [entry[:2] for entry in found["words"] if entry[2]] == [word[:2] for word in words]
    assert [entry[2] for entry in found["words"] if entry[2]] == ['say "hi"', "you"]


def test_a_text_grid_has_neither_gaps_nor_points(tmp_path):
    """Phones that begin together, an end behind the sound's, an empty tier."""
    tier = [Interval(0.2, 0.2, "a"), Interval(0.2, 0.5004, "b"), Interval(0.5, 0.7, "c"), Interval(0.7, 2.0, "d")]
    found = read(tmp_path / "a.TextGrid", text_grid({"some": tier, "none": []}, 1.0))
    assert found["some"] == [(0.0, 0.2, ""), (0.2, 0.5, "b"), (0.5, 0.7, "c"), (0.7, 1.0, "d")]
    assert found["none"] == [(0.0, 1.0, "")]
