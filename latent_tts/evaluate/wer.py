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

    from latent_tts.evaluate.hugging_face import HuggingFaceWhisper

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


def load_recogniser(whisper_dir: str | Path, threads: int = 1) -> WhisperModel | HuggingFaceWhisper:
    """A Whisper model on the CPU: from a CTranslate2 folder (tools/get_whisper.sh fetches one), in int8; or from a
    Hugging Face folder or name (``openai/whisper-base``), in fp32.
    """
    require_recogniser(whisper_dir)
    if not is_ctranslate2(whisper_dir):
        from latent_tts.evaluate.hugging_face import HuggingFaceWhisper

        return HuggingFaceWhisper(whisper_dir, threads)
    from faster_whisper import WhisperModel

    return WhisperModel(
        str(whisper_dir), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
    )


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
    """What the recogniser hears in ``wav`` (T,) at 16 kHz.

    Beam 5 and temperature 0 alone, so a second run says the same. Time stamps stay on: without them
    Whisper may stop for good at the first long pause.
    """
    segments, _ = recogniser.transcribe(
        wav, language="en", beam_size=5, temperature=0.0, condition_on_previous_text=False
    )
    return " ".join(segment.text.strip() for segment in segments)


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
