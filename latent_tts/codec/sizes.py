"""The sizes of a codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from latent_tts.errors import UserError


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of a codec. ``sample_rate / frame_rate`` must be a whole multiple of ``stft_hop``."""

    sample_rate: int = 16000  # Hz
    frame_rate: float = 12.5  # frames a second
    latent_dim: int = 64  # floats a frame
    stft_hop: int = 160  # samples; windows are four hops long
    lookahead: int = 3  # hops that the encoder sees past a frame's end: 3 is the reach of the decoder's windows
    n_mels: int = 100
    encoder_dim: int = 256
    encoder_blocks: int = 3
    frame_dim: int = 512
    frame_blocks: int = 1
    decoder: Literal["spectral", "upsampling"] = "spectral"
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
