"""Where a codec falls short: its reconstruction with a part of the original's spectrum in place of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mixtures(
    original: np.ndarray, output: np.ndarray, sample_rate: int, edges: Sequence[float], seconds: float = 0.032
) -> dict[str, np.ndarray]:
    """Two sounds (T,), aligned -> by its name each mixture (T,): the output with the original's magnitudes, with its
    phases, and with all of it below, and above, each of ``edges`` in Hz.

    By short-time Fourier transforms under Hann windows of ``seconds``, a quarter of that apart. What is made of two
    spectra is in general the spectrum of no sound; the one whose spectrum lies nearest is given (Griffin & Lim, "Signal
    estimation from modified short-time Fourier transform", 1984, equation 6).
    """
    import librosa

    n_fft = 4 * round(seconds * sample_rate / 4)
    sizes = {"n_fft": n_fft, "hop_length": n_fft // 4}
    ours, theirs = (librosa.stft(wav, **sizes) for wav in (output, original))
    low = {edge: (librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft) < edge)[:, None] for edge in edges}
    mixed = {
        "original's magnitudes": np.abs(theirs) * np.exp(1j * np.angle(ours)),
        "original's phases": np.abs(ours) * np.exp(1j * np.angle(theirs)),
        **{f"original below {edge:g} Hz": np.where(low[edge], theirs, ours) for edge in edges},
        **{f"original above {edge:g} Hz": np.where(low[edge], ours, theirs) for edge in edges},
    }
    return {name: librosa.istft(spectrum, length=len(output), **sizes) for name, spectrum in mixed.items()}
