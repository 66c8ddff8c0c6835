"""Fixed signal transforms: causal framing, log-mel spectra, overlap-add, which stream by passed state; decimation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.nn.state import State, remember


def mel_filterbank(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """Slaney-style mel filters with unit area, (n_mels, n_fft // 2 + 1); equal to ``librosa.filters.mel``.

    The scale is linear to 1 kHz and logarithmic above it (Slaney, Auditory Toolbox, 1998).
    """
    step = math.log(6.4) / 27

    def to_hz(mel: Tensor) -> Tensor:
        return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp(step * (mel - 15)))

    top = 15 + math.log(sample_rate / 2 / 1000) / step
    edges = to_hz(torch.linspace(0, top, n_mels + 2, dtype=torch.float64))
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.minimum(rise, fall).clamp(min=0)
    return (triangles * 2 / (edges[2:] - edges[:-2])[:, None]).float()


class CausalFrames(nn.Module):
    """Cuts a signal into overlapping windows that end ``lookahead`` samples after their hop: window k covers ``width``
    samples up to ``hop * (k + 1) + lookahead``; before the start and after the end there are zeros.

    (B, T) -> (B, T // hop, width). In a stream, samples that complete no window wait for the next call, so the last
    windows come once ``lookahead`` more samples have been given.
    """

    def __init__(self, width: int, hop: int, lookahead: int = 0):
        super().__init__()
        if not 0 <= lookahead <= width - hop:
            raise ValueError(f"windows of {width} samples every {hop} cannot look {lookahead} ahead")
        self.width, self.hop, self.lookahead = width, hop, lookahead

    def forward(self, wav: Tensor, state: State | None = None) -> Tensor:
        if state is None or self not in state:
            wav = F.pad(wav, (self.width - self.hop - self.lookahead, 0 if state is not None else self.lookahead))
        else:
            wav = torch.cat([state[self], wav], dim=1)
        count = max(0, (wav.shape[1] - self.width) // self.hop + 1)
        remember(self, state, wav[:, count * self.hop :])
        return wav.unfold(1, self.width, self.hop) if count else wav.new_zeros(len(wav), 0, self.width)


class LogMel(nn.Module):
    """Natural-log mel magnitudes of a short-time Fourier transform: (B, T) -> (B, T // hop, n_mels). Causal, but for
    ``lookahead`` samples (see CausalFrames)."""

    def __init__(
        self, sample_rate: int, n_fft: int, hop: int, n_mels: int, floor: float = 1e-4, lookahead: int = 0
    ):
        super().__init__()
        self.frames = CausalFrames(n_fft, hop, lookahead)
        self.floor = floor
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("filters", mel_filterbank(sample_rate, n_fft, n_mels).T.contiguous(), persistent=False)

    def forward(self, wav: Tensor, state: State | None = None) -> Tensor:
        with torch.autocast(wav.device.type, enabled=False):
            frames = self.frames(wav.float(), state)
            if frames.shape[1] == 0:
                return frames.new_zeros(len(frames), 0, self.filters.shape[1])
            spectrum = torch.fft.rfft(frames * self.window).abs()
            return (spectrum @ self.filters).clamp(min=self.floor).log()


class Decimate(nn.Module):
    """Every ``factor``-th sample of a signal, behind a low-pass just below half of their rate.

    (B, T) -> (B, ceil(T / factor)), of a whole signal: it has no state. The low-pass is a sinc under Hann's window over
    ``zeros`` of its zeros on either side, the same as ``torchaudio.functional.resample`` has with
    ``lowpass_filter_width=zeros``; beyond the signal there are zeros.
    """

    def __init__(self, factor: int, zeros: int = 16, rolloff: float = 0.99):
        super().__init__()
        self.factor, self.reach = factor, math.ceil(zeros * factor / rolloff)
        time = torch.arange(-self.reach, self.reach + 1) * (rolloff / factor)  # in zeros
        window = torch.cos(time.clamp(-zeros, zeros) * (math.pi / zeros / 2)) ** 2
        self.register_buffer("taps", torch.sinc(time) * window * (rolloff / factor), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        with torch.autocast(wav.device.type, enabled=False):
            return F.conv1d(wav.float()[:, None], self.taps[None, None], stride=self.factor, padding=self.reach)[:, 0]


class InverseFourier(nn.Module):
    """Log magnitudes, then phases, of a spectrum (..., n_fft + 2) -> windowed stretches of sound (..., n_fft).

    Windows are Hann's, scaled so that four of them overlapping sum to the sound.
    """

    def __init__(self, n_fft: int):
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft) / 1.5, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            magnitude, phase = x.float().chunk(2, dim=-1)
            spectrum = torch.polar(magnitude.clamp(max=5).exp(), phase)
            return torch.fft.irfft(spectrum, n=self.n_fft) * self.window


class OverlapAdd(nn.Module):
    """Adds windows of ``overlap * hop`` samples placed ``hop`` apart: (B, N, overlap * hop) -> (B, N * hop).

    A sample is given out once every window that covers it has been added, so the output has no delay; the last
    ``(overlap - 1) * hop`` samples stay in the state.
    """

    def __init__(self, hop: int, overlap: int = 4):
        super().__init__()
        self.hop, self.overlap = hop, overlap

    def forward(self, windows: Tensor, state: State | None = None) -> Tensor:
        late, parts = self.overlap - 1, windows.unflatten(2, (self.overlap, self.hop))
        total = sum(F.pad(parts[:, :, i], (0, 0, i, late - i)) for i in range(self.overlap))
        if state is not None and self in state:
            total = torch.cat([total[:, :late] + state[self], total[:, late:]], dim=1)
        remember(self, state, total[:, -late:])
        return total[:, :-late].flatten(1)
