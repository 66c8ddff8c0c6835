"""The codec: sound to a few frames a second and back, streaming by passed state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latent_tts.codec.decoders import SpectralDecoder, UpsamplingDecoder
from latent_tts.codec.sizes import CodecConfig
from latent_tts.frames import FrameFormat
from latent_tts.nn.conv import ConvNeXtBlock, Stack
from latent_tts.nn.spectral import LogMel
from latent_tts.nn.state import State, remember

DECODERS = {"spectral": SpectralDecoder, "upsampling": UpsamplingDecoder}


class Encoder(nn.Module):
    """(B, T) -> mu (B, T // hop_length, D): log-mel, blocks at the spectral rate, a fold, blocks at the frame rate.

    A frame sees ``lookahead`` spectral hops past its end. With three of them window k of the encoder covers the samples
    of window k of a spectral decoder, so that no part of what a frame's windows reach into is guessed::

        samples    |    frame 0    |    frame 1    | ...
        windows    [----]                             the first and
                                [----]                the last of frame 0: it reaches three hops into frame 1
    """

    def __init__(self, config: CodecConfig):
        super().__init__()
        dim, wide, self.stack = config.encoder_dim, config.frame_dim, config.stack
        hop = config.stft_hop
        self.mel = LogMel(config.sample_rate, 4 * hop, hop, config.n_mels, lookahead=config.lookahead * hop)
        self.enter = nn.Linear(config.n_mels, dim)
        self.fine = Stack(ConvNeXtBlock(dim, config.expansion) for _ in range(config.encoder_blocks))
        self.fold = nn.Linear(dim * self.stack, wide)
        self.coarse = Stack(ConvNeXtBlock(wide, config.expansion) for _ in range(config.frame_blocks))
        self.norm = nn.LayerNorm(wide)
        self.leave = nn.Linear(wide, config.latent_dim)

    def forward(self, wav: Tensor, state: State | None = None) -> Tensor:
        x = self.enter(self.mel(wav, state) / 4 + 1)
        if x.shape[1]:
            x = self.fine(x, state)
        if state is not None and self in state:
            x = torch.cat([state[self], x], dim=1)
        count = x.shape[1] // self.stack
        remember(self, state, x[:, count * self.stack :])
        if count == 0:
            return x.new_zeros(len(x), 0, self.leave.out_features)
        x = x[:, : count * self.stack].reshape(len(x), count, -1)
        return self.leave(self.norm(self.coarse(self.fold(x), state)))


class Codec(nn.Module):
    """An autoencoder over speech. Its bottleneck says what frames are: floats (a sigma-VAE) or codes (an RVQ codec).

    ``encode`` (B, 1, T) -> (B, T // hop_length, D | Q); ``decode`` (B, N, D | Q) -> (B, 1, N * hop_length). With a
    ``State`` both continue a stream: any way of cutting the input gives the same output; samples that do not fill a
    frame wait for the next call. The encoder looks ``lookahead`` samples past a frame's end: the whole signal is taken
    to end in silence, and a stream's last frames come once so many samples (zeros, at its end) have followed. The
    decoder looks no frame ahead: the algorithmic latency of speaking is one frame.
    """

    def __init__(self, config: CodecConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.bottleneck = config.bottleneck()
        self.decoder = DECODERS[config.decoder](config)

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

    @property
    def hop_length(self) -> int:
        return self.config.hop_length

    @property
    def lookahead(self) -> int:
        """Samples."""
        return self.config.lookahead * self.config.stft_hop

    @property
    def frame_rate(self) -> float:
        return self.config.frame_rate

    @property
    def frame_format(self) -> FrameFormat:
        return self.bottleneck.frame_format

    def encode(self, wav: Tensor, state: State | None = None) -> Tensor:
        return self.bottleneck.to_frames(self.encoder(wav[:, 0], state))

    def decode(self, frames: Tensor, state: State | None = None) -> Tensor:
        z = self.bottleneck.to_latents(frames)
        if z.shape[1] == 0:
            return z.new_zeros(len(z), 1, 0)
        return self.decoder(z, state)[:, None]

    def reconstruct(self, wav: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Training's way through: (B, 1, T) -> (a reconstruction (B, 1, T), the bottleneck's penalty and its log)."""
        z, penalty, log = self.bottleneck(self.encoder(wav[:, 0]))
        return self.decoder(z)[:, None], penalty, log
