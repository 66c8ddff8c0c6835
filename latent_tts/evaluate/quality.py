"""Sound quality: DNSMOS needs no original; STOI, PESQ and a mel distance compare a reconstruction with its original."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.nn.spectral import LogMel

DNSMOS_RATE = PESQ_RATE = MEL_RATE = 16000
MEL_DISTANCE = (
    "mean L1 of natural-log mel magnitudes: 16 kHz, Hann windows of 1024 samples every 256, 80 Slaney bands of unit "
    "area from 0 to 8 kHz, floor 1e-5"
)


def dnsmos(wav: np.ndarray, sample_rate: int) -> dict[str, float]:
    """DNSMOS P.835 ``ovrl``, ``sig``, ``bak`` and P.808 ``p808`` of ``wav`` (T,), each about 1 (bad) to 5.

    Clips shorter than 9.01 s are repeated to that length, as the reference code does. Source: Reddy et al.,
    "DNSMOS P.835", ICASSP 2022; the weights are in the speechmos package.
    """
    if not len(wav):
        raise UserError("DNSMOS of an empty recording is not defined; synthesise it again")
    wav = np.clip(audio.resample(wav, sample_rate, DNSMOS_RATE), -1, 1)
    scores = _dnsmos_model(torch.get_num_threads())(wav, DNSMOS_RATE, False)
    return {name: float(scores[f"{name}_mos"]) for name in ("ovrl", "sig", "bak", "p808")}


@lru_cache(maxsize=1)
def _dnsmos_model(threads: int) -> Callable[[np.ndarray, int, bool], dict]:
    """The model of speechmos on ``threads`` threads. Its own ``run`` takes a thread for every core and has them spin,
    which beside another program takes several times as long."""
    import onnxruntime
    from speechmos import dnsmos

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    folder = Path(dnsmos.__file__).parent / "dnsmos_models"

    class Model(dnsmos.DNSMOS):
        def __init__(self):
            names = ("sig_bak_ovr.onnx", "model_v8.onnx")
            sessions = (onnxruntime.InferenceSession(str(folder / name), options) for name in names)
            self.onnx_sess, self.p808_onnx_sess = sessions

    return Model()


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


def mel_distance(original: np.ndarray, reconstruction: np.ndarray, sample_rate: int) -> float:
    """How far apart two (T,) are in the spectrum, over the length both share: MEL_DISTANCE says exactly what. 0 for
    equals; 1 is a factor of e (8.7 dB) in every band at every time.

    One window, so that the figure can be read. "Mel distance" in the literature is something else and no figure of the
    one may be set beside the other: DAC's (Kumar et al., "High-fidelity audio compression with improved RVQGAN", 2023)
    is its training loss, a sum over seven windows of 32 to 2048 samples, hops of a quarter, with 5 to 320 bands, of the
    mean L1 of log10 mel magnitudes, floor 1e-5; the defaults of its own scoring script are yet another sum, of log10
    powers and of plain magnitudes, over windows of 2048 and 512 with 150 and 80 bands, at 22.05 or 44.1 kHz. LatentLM's
    table of tokenizers (Sun et al., 2024) has a column of the name, at 24 kHz.
    """
    length = min(len(original), len(reconstruction))
    pair = (audio.resample(wav[:length], sample_rate, MEL_RATE) for wav in (original, reconstruction))
    a, b = (_log_mel()(torch.from_numpy(np.ascontiguousarray(wav, dtype=np.float32))[None]) for wav in pair)
    return float((a - b).abs().mean())


@lru_cache(maxsize=1)
def _log_mel() -> LogMel:
    return LogMel(MEL_RATE, n_fft=1024, hop=256, n_mels=80, floor=1e-5)
