"""The codec: sound to a few float frames a second and back, causal, streaming by passed state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latent_tts.codec.bottleneck import SigmaGaussian
from latent_tts.errors import UserError
from latent_tts.nn.conv import ConvNeXtBlock, Stack
from latent_tts.nn.spectral import LogMel, OverlapAdd
from latent_tts.nn.state import State


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of a codec. ``sample_rate / frame_rate`` must be a whole multiple of ``stft_hop``."""

    sample_rate: int = 16000  # Hz
    frame_rate: float = 12.5  # frames a second
    latent_dim: int = 64  # floats a frame
    stft_hop: int = 160  # samples; windows are four hops long
    n_mels: int = 100
    encoder_dim: int = 256
    encoder_blocks: int = 3
    frame_dim: int = 512
    frame_blocks: int = 1
    decoder_dim: int = 384
    decoder_blocks: int = 5
    expansion: int = 3
    sigma_std: float = 0.5
    beta: float = 0.01

    @property
    def stack(self) -> int:
        """Spectral frames in a codec frame."""
        ratio = self.sample_rate / (self.frame_rate * self.stft_hop)
        if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
            raise UserError(
                f"codec: {self.sample_rate} Hz at {self.frame_rate} frames a second is {ratio:g} hops of "
                f"{self.stft_hop} samples; choose a stft_hop that divides the frame, or another rate"
            )
        return round(ratio)

    @property
    def hop_length(self) -> int:
        return self.stack * self.stft_hop


class Encoder(nn.Module):
    """(B, T) -> mu (B, T // hop_length, D): log-mel, blocks at the spectral rate, a fold, blocks at the frame rate."""

    def __init__(self, config: CodecConfig):
        super().__init__()
        dim, wide, self.stack = config.encoder_dim, config.frame_dim, config.stack
        self.mel = LogMel(config.sample_rate, 4 * config.stft_hop, config.stft_hop, config.n_mels)
        self.enter = nn.Linear(config.n_mels, dim)
        self.fine = Stack(ConvNeXtBlock(dim, config.expansion) for _ in range(config.encoder_blocks))
        self.fold = nn.Linear(dim * self.stack, wide)
        self.coarse = Stack(ConvNeXtBlock(wide, config.expansion) for _ in range(config.frame_blocks))
        self.norm = nn.LayerNorm(wide)
        self.leave = nn.Linear(wide, config.latent_dim)

    def forward(self, wav: Tensor, state: State | None = None) -> Tensor:
        x = self.fine(self.enter(self.mel(wav, state) / 4 + 1), state)
        x = x.reshape(x.shape[0], x.shape[1] // self.stack, -1)
        return self.leave(self.norm(self.coarse(self.fold(x), state)))


class Decoder(nn.Module):
    """(B, N, D) -> (B, N * hop_length): blocks at the frame rate, an unfold to the spectral rate, blocks there, and an
    inverse-STFT head that predicts log magnitude and phase (Vocos, Siuzdak 2023)."""

    def __init__(self, config: CodecConfig):
        super().__init__()
        dim, wide, self.stack, self.n_fft = config.decoder_dim, config.frame_dim, config.stack, 4 * config.stft_hop
        self.enter = nn.Linear(config.latent_dim, wide)
        self.coarse = Stack(ConvNeXtBlock(wide, config.expansion) for _ in range(config.frame_blocks))
        self.unfold = nn.Linear(wide, dim * self.stack)
        self.fine = Stack(ConvNeXtBlock(dim, config.expansion) for _ in range(config.decoder_blocks))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, self.n_fft + 2)
        self.add = OverlapAdd(config.stft_hop)
        self.register_buffer("window", torch.hann_window(self.n_fft) / 1.5, persistent=False)

    def forward(self, z: Tensor, state: State | None = None) -> Tensor:
        x = self.unfold(self.coarse(self.enter(z), state))
        x = self.fine(x.reshape(x.shape[0], x.shape[1] * self.stack, -1), state)
        x = self.head(self.norm(x))
        with torch.autocast(x.device.type, enabled=False):
            magnitude, phase = x.float().chunk(2, dim=-1)
            spectrum = torch.polar(magnitude.clamp(max=5).exp(), phase)
            return self.add(torch.fft.irfft(spectrum, n=self.n_fft) * self.window, state)


class Codec(nn.Module):
    """A sigma-VAE over speech. Frames are standardised latents, ready for a language model.

    ``encode`` (B, 1, T) -> (B, T // hop_length, D); ``decode`` (B, N, D) -> (B, 1, N * hop_length). With a ``State``
    both continue a stream: any way of cutting the input gives the same output; samples that do not fill a frame wait
    for the next call. The decoder looks no frame ahead, so the algorithmic latency is one frame.
    """

    def __init__(self, config: CodecConfig = CodecConfig()):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.bottleneck = SigmaGaussian(config.latent_dim, config.sigma_std, config.beta)
        self.decoder = Decoder(config)

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

    @property
    def hop_length(self) -> int:
        return self.config.hop_length

    @property
    def frame_rate(self) -> float:
        return self.config.frame_rate

    @property
    def frame_shape(self) -> tuple[int, ...]:
        return (self.config.latent_dim,)

    def encode(self, wav: Tensor, state: State | None = None) -> Tensor:
        wav = wav[:, 0]
        if state is not None:
            wav = torch.cat([state[self], wav], dim=1) if self in state else wav
            state[self] = wav[:, wav.shape[1] // self.hop_length * self.hop_length :]
        wav = wav[:, : wav.shape[1] // self.hop_length * self.hop_length]
        if wav.shape[1] == 0:
            return wav.new_zeros(wav.shape[0], 0, self.config.latent_dim)
        return self.bottleneck.normalise(self.encoder(wav, state))

    def decode(self, frames: Tensor, state: State | None = None) -> Tensor:
        if frames.shape[1] == 0:
            return frames.new_zeros(len(frames), 1, 0)
        return self.decoder(self.bottleneck.denormalise(frames), state)[:, None]

    def reconstruct(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """Training's way through: (B, 1, T) -> (a reconstruction from a draw of z (B, 1, T), mu (B, N, D))."""
        mu = self.encoder(wav[:, 0])
        return self.decoder(self.bottleneck.sample(mu))[:, None], mu
