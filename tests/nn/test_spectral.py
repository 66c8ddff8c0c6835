"""Spectra against librosa and against their own inverse."""

from __future__ import annotations

import pytest
import torch
from laws import assert_close, causal, streams
from tiny import sound

from latent_tts.nn.spectral import CausalFrames, Decimate, LogMel, OverlapAdd, mel_filterbank


@pytest.mark.parametrize(
    "rate, n_fft, n_mels", [(16000, 640, 100), (24000, 800, 100), (24000, 2048, 160), (16000, 128, 10), (8000, 512, 64)]
)
def test_filters_are_those_of_librosa(rate, n_fft, n_mels):
    filters = pytest.importorskip("librosa.filters")
    wanted = torch.from_numpy(filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels))
    assert torch.allclose(mel_filterbank(rate, n_fft, n_mels), wanted, rtol=1e-4, atol=1e-7)


def test_log_mel_is_that_of_librosa():
    """The same spectra, but each window ends where its hop ends."""
    melspectrogram = pytest.importorskip("librosa.feature").melspectrogram
    wav = sound(1, 4000)
    padded = torch.nn.functional.pad(wav, (480, 0))[0].numpy()
    wanted = melspectrogram(y=padded, sr=16000, n_fft=640, hop_length=160, n_mels=50, power=1, center=False)
    output = LogMel(16000, 640, 160, 50)(wav)
    assert output.shape == (1, 25, 50)
    assert torch.allclose(output[0].T, torch.from_numpy(wanted).clamp(min=1e-4).log(), atol=1e-3)


def test_windows_end_where_their_hop_ends():
    frames = CausalFrames(8, 2)(torch.arange(1.0, 12.0)[None])
    assert frames.shape == (1, 5, 8)
    assert frames[0, 0].tolist() == [0] * 6 + [1, 2] and frames[0, 4].tolist() == list(range(3, 11))


def test_windows_may_end_later():
    frames = CausalFrames(8, 2, lookahead=4)(torch.arange(1.0, 12.0)[None])
    assert frames.shape == (1, 5, 8)
    assert frames[0, 0].tolist() == [0] * 2 + [1, 2, 3, 4, 5, 6] and frames[0, 4].tolist() == [7, 8, 9, 10, 11, 0, 0, 0]
    streams(CausalFrames(8, 2, lookahead=4), torch.randn(2, 21) + 1, 3, lookahead=4)
    with pytest.raises(ValueError, match="ahead"):
        CausalFrames(8, 2, lookahead=7)


def test_samples_that_fill_no_hop_wait():
    streams(CausalFrames(12, 3), torch.randn(2, 40) + 1, 7)


@pytest.mark.parametrize("size", [160, 480, 801])
def test_log_mel_streams_and_is_causal(size):
    mel = LogMel(16000, 640, 160, 40)
    streams(mel, sound(2, 3520), size)
    causal(mel, sound(2, 3520), 1700)


@pytest.mark.parametrize("hop", [1, 5, 160])
def test_analysis_and_synthesis_are_the_identity(hop):
    """Hann windows on both sides with an overlap of four sum to 1.5; the sound comes back three hops later."""
    wav, window = sound(2, 12 * hop + hop // 2) + 1, torch.hann_window(4 * hop)
    spectra = torch.fft.rfft(CausalFrames(4 * hop, hop)(wav) * window)
    output = OverlapAdd(hop)(torch.fft.irfft(spectra, n=4 * hop) * window / 1.5)
    assert output.shape == (2, 12 * hop)
    assert torch.allclose(output[:, 3 * hop :], wav[:, : 9 * hop], atol=1e-5)
    assert output[:, : 3 * hop].abs().max() < 1e-6


@pytest.mark.parametrize("size", [1, 2, 5])
def test_overlap_add(size):
    """Every sample is the sum of the windows over it; in a stream as well."""
    windows, hop, overlap = torch.randn(2, 7, 12), 4, 3
    wanted = torch.zeros(2, 7 * hop + 2 * hop)
    for i in range(7):
        wanted[:, i * hop : (i + overlap) * hop] += windows[:, i]
    add = OverlapAdd(hop, overlap)
    assert_close(add(windows), wanted[:, : 7 * hop], 1e-5)
    streams(add, windows, size)


@pytest.mark.parametrize("factor, length", [(2, 4000), (4, 4001), (6, 3998)])
def test_decimation_is_torchaudios(factor, length):
    torchaudio = pytest.importorskip("torchaudio")
    wav = torch.randn(2, length)
    wanted = torchaudio.functional.resample(wav, factor * 1000, 1000, lowpass_filter_width=16)
    assert_close(Decimate(factor)(wav), wanted, 1e-5)


def test_decimation_keeps_what_is_low_alone():
    """Tones at 16 kHz, every fourth sample of them: below 2 kHz they stay as they are, above it they are gone."""
    seconds = torch.arange(16000)[None] / 16000
    for hertz, kept in ((100, 1), (1500, 1), (2500, 0), (6000, 0)):
        tone = torch.sin(2 * torch.pi * hertz * seconds)
        assert (Decimate(4)(tone) - kept * tone[:, ::4])[:, 50:-50].abs().max() < 0.01
