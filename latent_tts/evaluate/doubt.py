"""How far a recogniser is from sure of a text that it is given: tells sounds apart where it reads all of them right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from latent_tts.errors import UserError
from latent_tts.evaluate.wer import RECOGNISER_RATE

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

WINDOW = 30.0  # seconds that Whisper hears at a time


def doubts(recogniser: WhisperModel, wav: np.ndarray, text: str) -> np.ndarray:
    """Of each token of ``text``, behind those before it, what its probability lacks to one (N,); ``wav`` (T,) at 16 kHz
    is heard. A text in capitals alone is asked for in small letters, which the recogniser has learnt to write.

    With ``text`` as the truth the mean is the share of tokens that a draw would get wrong: a word error rate without
    its steps, so that fewer words tell a difference. UserError for more than WINDOW seconds and for no text.
    """
    if len(wav) > WINDOW * RECOGNISER_RATE:
        raise UserError(f"{len(wav) / RECOGNISER_RATE:.1f} s: the recogniser hears {WINDOW:g} s at a time; cut it")
    if not text.strip():
        raise UserError("no text to be sure of; give what is said")
    from faster_whisper.tokenizer import Tokenizer

    tokenizer = Tokenizer(recogniser.hf_tokenizer, multilingual=True, task="transcribe", language="en")
    tokens = tokenizer.encode(" " + (text.capitalize() if text.isupper() else text).strip())
    frames = recogniser.feature_extractor.nb_max_frames
    features = recogniser.feature_extractor(wav)[:, :frames]
    heard = recogniser.encode(np.pad(features, ((0, 0), (0, frames - features.shape[1]))))
    found = recogniser.model.align(heard, tokenizer.sot_sequence, [tokens], [features.shape[1]])
    return 1 - np.asarray(found[0].text_token_probs)
