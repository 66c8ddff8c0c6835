"""Subtitles: words as they are said, in every format."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latent_tts import captions
from latent_tts.align.intervals import Interval
from latent_tts.errors import UserError

SENTENCES = [
    [Interval(0.1, 0.4, "Hi"), Interval(0.7, 0.9, "you")],
    [Interval(3600 + i, 3600.5 + i, f"word{i}") for i in range(30)],
]


@pytest.mark.parametrize("suffix, point", [(".srt", ","), (".vtt", ".")])
def test_subtitles(tmp_path, suffix, point):
    captions.write(tmp_path / f"a{suffix}", SENTENCES)
    text = (tmp_path / f"a{suffix}").read_text("utf-8")
    assert text.startswith("WEBVTT\n\n" if suffix == ".vtt" else "1\n")
    assert f"00:00:00{point}100 --> 00:00:00{point}900\nHi you\n\n" in text and f"01:00:29{point}500" in text
    spoken = [line for line in text.splitlines() if "word" in line.lower() and line != "WEBVTT"]
    assert " ".join(spoken).split() == [word.label for word in SENTENCES[1]]
    assert max(map(len, spoken)) <= captions.LINE
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_json(tmp_path):
    captions.write(tmp_path / "a.json", SENTENCES)
    first = json.loads((tmp_path / "a.json").read_text("utf-8"))["sentences"][0]
    assert first["text"] == "Hi you" and first["words"][1] == {"text": "you", "start": 0.7, "end": 0.9}


@pytest.mark.parametrize("name, complaint", [("a.txt", "format"), ("nowhere/a.srt", "does not exist")])
def test_bad_places(tmp_path, name, complaint):
    with pytest.raises(UserError, match=complaint):
        captions.check(tmp_path / name)


def test_a_full_disk_is_said():
    with pytest.raises(UserError, match="cannot be written"):
        captions.write("/proc/a.srt", SENTENCES)


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=20))
def test_cues_are_in_order_and_last_a_while(times):
    words = [Interval(start, start, "a") for start in sorted(times)]
    for start, end in re.findall(r"(\S+) --> (\S+)", captions.as_srt([words])):
        assert start < end
