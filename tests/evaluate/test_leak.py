"""Leaked words, counted by hand."""

from __future__ import annotations

import pytest

from latent_tts.evaluate.leak import leaked_words

REFERENCE = "She went to the river, and by the bridge"


@pytest.mark.parametrize(
    "text, heard, count",
    [
        ("The cat sat.", "the cat sat", 0),
        ("The cat sat.", "by the bridge the cat sat", 3),  # three words put in, a run of the reference
        ("The cat sat.", "by the bridge a cat sat", 3),  # one "the" fits by chance: 3 errors with them, 1 without
        ("The cat sat.", "bridge river the cat sat", 1),  # "bridge river" is no run of it
        ("The cat sat.", "well the cat sat", 0),  # put in, but not the reference's
        ("At last he came.", "and last he came", 0),  # misread, not put in
        ("By the bridge she sat.", "by the bridge she sat", 0),  # both begin so
        ("By the bridge she sat.", "river and by the bridge she sat", 2),
        ("The cat sat.", "", 0),
        ("The cat sat.", "went to", 0),  # nothing of the text: two misread
    ],
)
def test_by_hand(text, heard, count):
    assert leaked_words(text, REFERENCE, heard) == count


def test_spelling_is_no_difference():
    assert leaked_words("We go.", "It is eighteen o'clock, Mister Gray!", "mr. gray we go") == 2


def test_without_a_reference_nothing_leaks():
    assert leaked_words("The cat sat.", "", "by the bridge the cat sat") == 0
