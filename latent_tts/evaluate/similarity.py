"""How much one recording's voice is like another's: the cosine between two speaker embeddings.

Figures from different extractors must never be compared, so results name theirs: EXTRACTOR, and beside it that of a
model the user has (``hugging_face.XVectorEncoder``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from resemblyzer import VoiceEncoder

EXTRACTOR = "Resemblyzer VoiceEncoder (GE2E, 256 dimensions)"


def embed(encoder: VoiceEncoder, wav: np.ndarray, sample_rate: int) -> np.ndarray:
    """Embedding (256,) of unit length of ``wav`` (T,); zeros where the voice detector finds no speech at
    all.
    """
    from resemblyzer import preprocess_wav

    silent = np.zeros(256, dtype=np.float32)
    if not np.any(wav):
        return silent
    voiced = preprocess_wav(np.clip(wav, -1, 1).astype(np.float32), source_sr=sample_rate)
    return encoder.embed_utterance(voiced) if len(voiced) else silent


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two embeddings, 0 when one of them is all zeros."""
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale else 0.0
