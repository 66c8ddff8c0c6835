"""Sound quality: DNSMOS needs no original; STOI and PESQ compare a reconstruction with its original."""

from __future__ import annotations

import numpy as np

from latent_tts import audio
from latent_tts.errors import UserError

DNSMOS_RATE = PESQ_RATE = 16000


def dnsmos(wav: np.ndarray, sample_rate: int) -> dict[str, float]:
    """DNSMOS P.835 ``ovrl``, ``sig``, ``bak`` and P.808 ``p808`` of ``wav`` (T,), each about 1 (bad) to 5.

    Clips shorter than 9.01 s are repeated to that length, as the reference code does. Source: Reddy et al.,
    "DNSMOS P.835", ICASSP 2022; the weights are in the speechmos package.
    """
    if not len(wav):
        raise UserError("DNSMOS of an empty recording is not defined; synthesise it again")
    from speechmos import dnsmos as model

    wav = np.clip(audio.resample(wav, sample_rate, DNSMOS_RATE), -1, 1)
    scores = model.run(wav, sr=DNSMOS_RATE)
    return {name: float(scores[f"{name}_mos"]) for name in ("ovrl", "sig", "bak", "p808")}


def stoi(original: np.ndarray, reconstruction: np.ndarray, sample_rate: int) -> float:
    """Short-time objective intelligibility, 0 to 1 (Taal et al., 2011), over the length both (T,) share."""
    import pystoi

    length = min(len(original), len(reconstruction))
    return float(pystoi.stoi(original[:length], reconstruction[:length], sample_rate))


def pesq_wb(original: np.ndarray, reconstruction: np.ndarray, sample_rate: int) -> float | None:
    """Wide-band PESQ (ITU-T P.862.2), 1.04 to 4.64.

    None where the ``pesq`` package is not installed (it needs a compiler) or where PESQ finds no speech in
    a recording.
    """
    try:
        import pesq
    except ImportError:
        return None
    if not (np.any(original) and np.any(reconstruction)):
        return None
    length = min(len(original), len(reconstruction))
    pair = (audio.resample(wav[:length], sample_rate, PESQ_RATE) for wav in (original, reconstruction))
    try:
        return float(pesq.pesq(PESQ_RATE, *pair, "wb"))
    except (pesq.NoUtterancesError, pesq.BufferTooShortError):
        return None
