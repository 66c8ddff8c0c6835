"""Notes of how long speaking took, and the factor that is made of them."""

from __future__ import annotations

import pytest

from latent_tts.evaluate import speed

HOW = {"engine": "torch", "threads": 2, "seed": 7}


def test_time_spent_over_time_heard(tmp_path):
    assert speed.read(tmp_path, ["a"]) == {} and speed.figures({}, ["a"]) == {}
    speed.note(tmp_path, "a", 9.0, 1.0, **HOW)
    speed.note(tmp_path, "a", 0.5, 1.0, **HOW)  # spoken again: the last one counts
    speed.note(tmp_path, "b", 0.1, 3.0, **HOW)
    speed.note(tmp_path, "other", 5.0, 1.0, **HOW)
    figures = speed.figures(speed.read(tmp_path, ["a", "b"]), ["a", "b"])
    assert figures["real_time"]["value"] == pytest.approx(0.6 / 4.0)
    made = figures["synthesis"]
    assert made["seed"] == 7 and made["machine"] == speed.machine() and made["date"].startswith("20")


def test_figures_of_different_conditions_are_not_mixed(tmp_path):
    speed.note(tmp_path, "a", 0.5, 1.0, **HOW)
    assert speed.figures(speed.read(tmp_path, ["a"]), ["a", "b"])["real_time"] is None  # of b nothing is known
    speed.note(tmp_path, "b", 0.5, 1.0, **{**HOW, "engine": "onnx"})
    figures = speed.figures(speed.read(tmp_path, ["a", "b"]), ["a", "b"])
    assert figures["real_time"] is None and "engine" not in figures["synthesis"] and figures["synthesis"]["seed"] == 7


def test_a_line_that_was_broken_off_is_none(tmp_path):
    speed.note(tmp_path, "a", 0.5, 1.0, **HOW)
    with open(tmp_path / speed.NAME, "a") as file:
        file.write('{"id": "a", "spen')
    assert speed.read(tmp_path, ["a"])["a"]["spent"] == 0.5
