"""Decoders from latents to sound: both unfold a frame to the spectral rate and differ in how they make samples."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.codec.sizes import CodecConfig
from latent_tts.nn.conv import CausalConv1d, CausalConvTranspose1d, ConvNeXtBlock, Stack
from latent_tts.nn.spectral import InverseFourier, OverlapAdd
from latent_tts.nn.state import State


class Unfold(nn.Module):
    """(B, N, D) -> (B, N * stack, H): blocks at the frame rate, then every frame becomes ``stack`` spectral frames, and
    blocks there. A decoder goes on from here to (B, N * stack * hop) samples; it sees no frame ahead."""

    def __init__(self, config: CodecConfig):
        super().__init__()
        dim, wide, self.stack = config.decoder_dim, config.frame_dim, config.stack
        self.enter = nn.Linear(config.latent_dim, wide)
        self.coarse = Stack(ConvNeXtBlock(wide, config.expansion) for _ in range(config.frame_blocks))
        self.unfold = nn.Linear(wide, dim * self.stack)
        self.fine = Stack(ConvNeXtBlock(dim, config.expansion) for _ in range(config.decoder_blocks))

    def forward(self, z: Tensor, state: State | None = None) -> Tensor:
        x = self.unfold(self.coarse(self.enter(z), state))
        return self.fine(x.reshape(x.shape[0], x.shape[1] * self.stack, -1), state)


class SpectralDecoder(Unfold):
    """Ends in log magnitude and phase of a spectrum and its inverse short-time Fourier transform (Vocos, Siuzdak 2023).
    A sample hangs on the spectral frame it lies in and those before."""

    def __init__(self, config: CodecConfig):
        super().__init__(config)
        self.norm = nn.LayerNorm(config.decoder_dim)
        self.head = nn.Linear(config.decoder_dim, 4 * config.stft_hop + 2)
        self.inverse = InverseFourier(4 * config.stft_hop)
        self.add = OverlapAdd(config.stft_hop)

    def forward(self, z: Tensor, state: State | None = None) -> Tensor:
        return self.add(self.inverse(self.head(self.norm(super().forward(z, state)))), state)


class UpsamplingDecoder(Unfold):
    """Ends in causal transposed convolutions that raise the rate to that of samples, each followed by a block of half
    the width (the layout of DAC, Kumar et al. 2023, and of VibeVoice's acoustic tokenizer)."""

    def __init__(self, config: CodecConfig):
        super().__init__(config)
        dim, stages = config.decoder_dim, []
        for stride in strides_of(config.stft_hop):
            stages += [CausalConvTranspose1d(dim, dim // 2, stride), ConvNeXtBlock(dim // 2, config.expansion)]
            dim //= 2
        self.stages = Stack(stages)
        self.leave = CausalConv1d(dim, 1, kernel=7)

    def forward(self, z: Tensor, state: State | None = None) -> Tensor:
        x = self.stages(super().forward(z, state), state)
        return self.leave(F.gelu(x), state)[..., 0].float()


def strides_of(hop: int) -> list[int]:
    """The factors of ``hop``, largest first, pairs of twos as fours: 160 -> [5, 4, 4, 2]."""
    factors, divisor = [], 2
    while hop > 1:
        if hop % 4 == 0:
            factors.append(4)
            hop //= 4
        elif hop % divisor == 0:
            factors.append(divisor)
            hop //= divisor
        else:
            divisor += 1
    return sorted(factors, reverse=True)
