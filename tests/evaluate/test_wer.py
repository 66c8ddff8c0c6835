"""Error counts, against edits counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latent_tts.errors import UserError
from latent_tts.evaluate import wer
from latent_tts.evaluate.hugging_face import Segment

ROOT = Path(__file__).parents[2]


def test_edits_counted_by_hand():
    # sat -> sit, the second "the" left out, "now" put in: one edit of each kind, over 6 words
    reading = wer.compare("The cat sat on the mat.", "the cat sit on mat, now")
    assert (reading.words, reading.word_errors, reading.wer) == (6, 3, 0.5)
    # kitten -> sitting: k/s, e/i, g put in (Levenshtein's own example)
    reading = wer.compare("Kitten.", "sitting")
    assert (reading.words, reading.word_errors) == (1, 1)
    assert (reading.chars, reading.char_errors, reading.cer) == (6, 3, 0.5)


@pytest.mark.parametrize(
    "said, heard, skipped, repeated, inserted",
    [
        ("The cat sat on the mat.", "the cat sat on the mat", 0, 0, 0),
        ("The cat sat on the mat.", "the cat on mat", 2, 0, 0),
        ("The cat sat on the mat.", "the cat sat sat sat on the mat", 0, 2, 0),
        ("The cat sat on the mat.", "the cat sat the cat sat on the mat", 0, 3, 0),
        ("The cat sat on the mat.", "well the cat sat on the mat mat", 0, 1, 1),
        ("The cat sat on the mat.", "the cat now sat on the old mat", 0, 0, 2),
        ("The cat sat on the mat.", "the dog sat on a mat", 0, 0, 0),  # substitutions alone
        ("It is very very cold.", "it is very very cold", 0, 0, 0),  # the text itself repeats
        ("It is very very cold.", "it is very very cold indeed", 0, 0, 1),
        ("It is very very cold.", "it is very very very cold", 0, 1, 0),
        ("One small step.", "", 3, 0, 0),
    ],
)
def test_words_left_out_and_said_again(said, heard, skipped, repeated, inserted):
    reading = wer.compare(said, heard)
    assert (reading.skipped, reading.repeated, reading.inserted) == (skipped, repeated, inserted)


def test_runs_that_come_twice():
    assert wer.twice_in_a_row("a b c".split()) == wer.twice_in_a_row([]) == set()
    assert wer.twice_in_a_row("x a b a b y".split()) == {1, 2, 3, 4}
    assert wer.twice_in_a_row("a b a b a".split()) == {0, 1, 2, 3, 4}
    assert wer.twice_in_a_row("a a b a".split()) == {0, 1}


def test_nothing_heard_is_all_words_deleted():
    reading = wer.compare("One small step.", " ")
    assert (reading.words, reading.word_errors) == (3, 3)
    assert reading.wer == reading.cer == 1.0


def test_a_babble_can_cost_more_than_the_sentence():
    assert wer.compare("Stop", "well stop it now please").wer == 4.0


@pytest.mark.parametrize(
    "said, heard",
    [
        ("Mr. Smith's colour isn't grey.", "mister smith's color is not gray"),
        ("It cost twenty five dollars!", "It cost $25."),
        ("“Hush”—he said… no more.", "hush he said no more..."),
    ],
)
def test_spelling_is_not_an_error(said, heard):
    assert wer.compare(said, heard).word_errors == 0


@pytest.mark.parametrize("text", ["", "...", "[noise]"])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(UserError, match="no word"):
        wer.compare(text, "hello")


def test_a_missing_recogniser_says_how_to_get_one(tmp_path):
    with pytest.raises(UserError, match="tools/get_whisper.sh"):
        wer.load_recogniser(tmp_path)


class Recogniser:
    """Answers as Whisper's model does: with time stamps one thing, without another. It notes how it was asked."""

    def __init__(self, with_stamps: str, without: str):
        self.texts, self.asked = {False: with_stamps, True: without}, []

    def transcribe(self, wav, without_timestamps, **asked):
        self.asked.append(without_timestamps)
        return iter([Segment(self.texts[without_timestamps], -0.5 - without_timestamps, (1, 2))]), None


@pytest.mark.parametrize(
    "with_stamps, without, heard, asked",
    [
        ("Chapter six. I'm sorry, I'm fine.", "chapter six", 0, [False]),
        ("Chapter six." + " I'm sorry," * 60, "chapter six", 1, [False, True]),
        ("six " * 112, "six " * 50, 0, [False, True]),  # that may be what was said
        ("Chapter six." + " I'm sorry," * 60, "", 1, [False, True]),
    ],
)
def test_a_reading_that_runs_in_circles_is_read_again(with_stamps, without, heard, asked):
    recogniser = Recogniser(with_stamps, without)
    text, score = wer.transcribe_scored(recogniser, np.zeros(16000, np.float32))
    assert text == (with_stamps, without)[heard].strip() and score == -0.5 - heard and recogniser.asked == asked


def test_recordings_are_not_circles():
    """An English text compresses less than what says the same over and over."""
    text = " ".join(path.read_text("utf-8") for path in sorted((ROOT / "egs/mini/corpus").rglob("*.trans.txt")))
    assert len(text) > 500 and max(Segment(text[i : i + 500]).compression_ratio for i in range(0, len(text), 500)) < 2
    assert Segment("I'm sorry, " * 60).compression_ratio > 10 > wer.CIRCLES
