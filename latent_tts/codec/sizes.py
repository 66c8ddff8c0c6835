"""The sizes of a codec, and what stands between its encoder and its decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from latent_tts.errors import UserError
from latent_tts.frames import FrameFormat


class Bottleneck(Protocol):
    """A module that makes frames of what the encoder says, mu (B, N, D), and latents for the decoder of frames."""

    frame_format: FrameFormat
    noise: Tensor | None  # (D,) deviation of what training adds to frames of floats; None where frames are codes

    def __call__(self, mu: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Training's way: mu -> (z (B, N, D) for the decoder, a penalty to be added to the loss, scalars to log)."""
        ...

    def to_frames(self, mu: Tensor) -> Tensor:
        """(B, N, D) -> frames (B, N, D | Q)."""
        ...

    def to_latents(self, frames: Tensor) -> Tensor:
        """Frames (B, N, D | Q) -> (B, N, D)."""
        ...

    def measure(self, mu: Tensor) -> dict[str, Tensor]:
        """Set the statistics that frames need from latents (M, D) of a trained encoder; returns scalars to show."""
        ...


@dataclass(frozen=True)
class CodecConfig(ABC):
    """Sizes that all codecs have; what extends it adds those of its bottleneck. ``sample_rate / frame_rate`` must be a
    whole multiple of ``stft_hop``."""

    sample_rate: int = 16000  # Hz
    frame_rate: float = 12.5  # frames a second
    latent_dim: int = 64  # floats between encoder and decoder
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

    @abstractmethod
    def bottleneck(self) -> Bottleneck:
        """A new one, of these sizes."""

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
