"""Word and character error rates of a recogniser's reading against the text that was to be said.

Both sides go through OpenAI's English text standardiser (whisper-normalizer) first. A corpus rate is the
sum of the errors over the sum of the reference's words, never a mean of rates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from latent_tts.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from faster_whisper import WhisperModel

RECOGNISER_RATE = 16000


@dataclass(frozen=True)
class Reading:
    """One utterance read back: both texts standardised, their lengths, and the edits between them."""

    reference: str
    hypothesis: str
    words: int
    word_errors: int
    chars: int
    char_errors: int

    @property
    def wer(self) -> float:
        return self.word_errors / self.words

    @property
    def cer(self) -> float:
        return self.char_errors / self.chars


def load_recogniser(whisper_dir: str | Path, threads: int = 1) -> WhisperModel:
    """A Whisper model from a CTranslate2 folder (tools/get_whisper.sh fetches one), on the CPU in int8."""
    require_recogniser(whisper_dir)
    from faster_whisper import WhisperModel

    return WhisperModel(
        str(whisper_dir), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
    )


def require_recogniser(whisper_dir: str | Path) -> None:
    """UserError where no recogniser lies in ``whisper_dir``."""
    if not (Path(whisper_dir) / "model.bin").is_file():
        raise UserError(
            f"{whisper_dir}: no recogniser there; fetch one with: bash tools/get_whisper.sh {whisper_dir}"
        )


def transcribe(recogniser: WhisperModel, wav: np.ndarray) -> str:
    """What the recogniser hears in ``wav`` (T,) at 16 kHz."""
    return transcribe_scored(recogniser, wav)[0]


def transcribe_scored(recogniser: WhisperModel, wav: np.ndarray) -> tuple[str, float]:
    """The same, with the mean log-probability of its tokens (-inf where there is none).

    Beam 5 and temperature 0 alone, so a second run says the same. Time stamps stay on: without them
    Whisper may stop for good at the first long pause.
    """
    segments, _ = recogniser.transcribe(
        wav, language="en", beam_size=5, temperature=0.0, condition_on_previous_text=False
    )
    heard = [(segment.text.strip(), segment.avg_logprob, len(segment.tokens)) for segment in segments]
    tokens = sum(count for *_, count in heard)
    score = sum(logprob * count for _, logprob, count in heard) / tokens if tokens else float("-inf")
    return " ".join(text for text, *_ in heard), score


def compare(text: str, heard: str) -> Reading:
    """Count the edits between the text that was to be said and what was heard. Raises UserError if no word
    is in ``text``.
    """
    import jiwer

    reference, hypothesis = standardise(text), standardise(heard)
    if not reference:
        raise UserError(f"no word is left of {text!r} to compare with; take another sentence")
    words, chars = jiwer.process_words(reference, hypothesis), jiwer.process_characters(reference, hypothesis)
    return Reading(
        reference,
        hypothesis,
        words=words.hits + words.substitutions + words.deletions,
        word_errors=words.substitutions + words.deletions + words.insertions,
        chars=chars.hits + chars.substitutions + chars.deletions,
        char_errors=chars.substitutions + chars.deletions + chars.insertions,
    )


def standardise(text: str) -> str:
    """Lower case, no punctuation, numbers as digits, British spelling made American, contractions opened.

    Dots in a row go first: the standardiser would leave of them a word "..".
    """
    return " ".join(_normalizer()(re.sub(r"\.{2,}|…", " ", text)).split())


@lru_cache(maxsize=1)
def _normalizer():
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()
