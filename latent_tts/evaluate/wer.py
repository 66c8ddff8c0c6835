"""Word and character error rates of a recogniser's reading against the text that was to be said.

Both sides go through OpenAI's English text standardiser (whisper-normalizer) first. A corpus rate is the
sum of the errors over the sum of the reference's words, never a mean of rates.

An autoregressive speaker fails in ways that a rate hides: it loses its place and leaves words out, or says
them again. These are told apart from the alignment of the two texts, see Reading.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from latent_tts.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from faster_whisper import WhisperModel

    from latent_tts.evaluate.hugging_face import HuggingFaceWhisper

RECOGNISER_RATE = 16000
CIRCLES = 2.4  # times that a reading compresses at most, unless it runs in circles


@dataclass(frozen=True)
class Reading:
    """One utterance read back: both texts standardised, their lengths, and the edits between them.

    Of the words, ``skipped`` are deleted ones; those put in are ``repeated`` where they stand within words that are
    said twice in a row ("the cat the cat"), else ``inserted``. What is left of the errors are substitutions.
    """

    reference: str
    hypothesis: str
    words: int
    word_errors: int
    chars: int
    char_errors: int
    skipped: int
    repeated: int
    inserted: int

    @property
    def wer(self) -> float:
        return self.word_errors / self.words

    @property
    def cer(self) -> float:
        return self.char_errors / self.chars


def load_recogniser(whisper_dir: str | Path, threads: int = 1) -> WhisperModel | HuggingFaceWhisper:
    """A Whisper model on the CPU: from a CTranslate2 folder (tools/get_whisper.sh fetches one), in int8; or from a
    Hugging Face folder or name (``openai/whisper-base``), in fp32.
    """
    require_recogniser(whisper_dir)
    if not is_ctranslate2(whisper_dir):
        from latent_tts.evaluate.hugging_face import HuggingFaceWhisper

        return HuggingFaceWhisper(whisper_dir, threads)
    from faster_whisper import WhisperModel

    return WhisperModel(str(whisper_dir), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True)


def require_recogniser(whisper_dir: str | Path) -> None:
    """UserError where no recogniser lies in ``whisper_dir``, nor can be fetched by that name."""
    if is_ctranslate2(whisper_dir):
        return
    from latent_tts.evaluate import hugging_face

    if hugging_face.is_folder(whisper_dir):
        hugging_face.require_transformers(whisper_dir)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", str(whisper_dir)) and not Path(whisper_dir).exists():
        hugging_face.require_name(str(whisper_dir))
    else:
        raise UserError(
            f"{whisper_dir}: no recogniser there; fetch one with: bash tools/get_whisper.sh {whisper_dir}"
        )


def is_ctranslate2(whisper_dir: str | Path) -> bool:
    """Whether a folder is one of CTranslate2, which faster-whisper reads."""
    return (Path(whisper_dir) / "model.bin").is_file()


def transcribe(recogniser: WhisperModel | HuggingFaceWhisper, wav: np.ndarray) -> str:
    """What the recogniser hears in ``wav`` (T,) at 16 kHz."""
    return transcribe_scored(recogniser, wav)[0]


def transcribe_scored(recogniser: WhisperModel | HuggingFaceWhisper, wav: np.ndarray) -> tuple[str, float]:
    """The same, with the mean log-probability of its tokens (-inf where there is none).

    Beam 5 and temperature 0 alone, so a second run says the same. Time stamps are on: without them Whisper may stop for
    good at the first long pause. With them it may run in circles behind a word that is cut off ("I'm sorry, I'm sorry,
    I'm sorry"): where it does, it reads again without, and that counts unless it runs in circles there, too.
    """
    with_stamps = _read(recogniser, wav, without_timestamps=False)
    if not with_stamps.in_circles:
        return with_stamps[:2]
    without = _read(recogniser, wav, without_timestamps=True)
    return with_stamps[:2] if without.in_circles else without[:2]


class _Heard(NamedTuple):
    text: str
    logprob: float  # mean of its tokens
    in_circles: bool


def _read(recogniser: WhisperModel | HuggingFaceWhisper, wav: np.ndarray, without_timestamps: bool) -> _Heard:
    """What is heard once. In a part that compresses more than CIRCLES times Whisper has failed, by its authors (Radford
    et al. 2023, section 4.5), who then draw readings by chance until one does not."""
    asked = {"beam_size": 5, "temperature": 0.0, "condition_on_previous_text": False}
    segments, _ = recogniser.transcribe(wav, language="en", without_timestamps=without_timestamps, **asked)
    segments = list(segments)
    tokens = sum(len(segment.tokens) for segment in segments)
    score = sum(s.avg_logprob * len(s.tokens) for s in segments) / tokens if tokens else float("-inf")
    failed = any(segment.compression_ratio > CIRCLES for segment in segments)
    return _Heard(" ".join(segment.text.strip() for segment in segments), score, failed)


def compare(text: str, heard: str) -> Reading:
    """Count the edits between the text that was to be said and what was heard. Raises UserError if no word
    is in ``text``.
    """
    import jiwer

    reference, hypothesis = standardise(text), standardise(heard)
    if not reference:
        raise UserError(f"no word is left of {text!r} to compare with; take another sentence")
    words, chars = jiwer.process_words(reference, hypothesis), jiwer.process_characters(reference, hypothesis)
    again = twice_in_a_row(hypothesis.split())
    added = [c for c in words.alignments[0] if c.type == "insert"]
    repeated = sum(i in again for chunk in added for i in range(chunk.hyp_start_idx, chunk.hyp_end_idx))
    return Reading(
        reference,
        hypothesis,
        words=words.hits + words.substitutions + words.deletions,
        word_errors=words.substitutions + words.deletions + words.insertions,
        chars=chars.hits + chars.substitutions + chars.deletions,
        char_errors=chars.substitutions + chars.deletions + chars.insertions,
        skipped=words.deletions,
        repeated=repeated,
        inserted=words.insertions - repeated,
    )


def twice_in_a_row(words: Sequence[str]) -> set[int]:
    """Places of words within a run of words that another run just like it follows or goes before.

    An alignment may call any part of "the cat the cat" what was put in, as "cat the"; so runs are looked for among all
    words, in time quadratic in their number.
    """
    places: set[int] = set()
    for length in range(1, len(words) // 2 + 1):
        alike = 0  # how many words up to here equal those ``length`` before
        for i in range(length, len(words)):
            alike = alike + 1 if words[i] == words[i - length] else 0
            if alike >= length:
                places.update(range(i - 2 * length + 1, i + 1))
    return places


def standardise(text: str) -> str:
    """Lower case, no punctuation, numbers as digits, British spelling made American, contractions opened.

    Dots in a row go first: the standardiser would leave of them a word "..".
    """
    return " ".join(_normalizer()(re.sub(r"\.{2,}|…", " ", text)).split())


@lru_cache(maxsize=1)
def _normalizer():
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()
