"""A small CTC network that hears phones. ``hearing.py`` finds with it where each phone of a known text begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.align.hearing import Hearing
from latent_tts.nn.conv import ConvNeXtBlock, Stack
from latent_tts.nn.spectral import LogMel

STRESS = "ˈˌ"


@dataclass(frozen=True)
class AlignerConfig:
    """Sizes of the aligner; ``hop`` samples make a mel frame and two mel frames an output frame (50 Hz at 16 kHz)."""

    sample_rate: int = 16000
    hop: int = 160
    n_mels: int = 80
    dim: int = 192
    blocks: int = 7
    lookahead: int = 10  # output frames the network waits before it decides


class Aligner(nn.Module):
    """Phone posteriors by connectionist temporal classification (Graves et al. 2006) at half the mel rate.

    ``classes`` (V,) maps symbol ids to output classes: stress is dropped, pause marks are one class; class 0 is the
    CTC blank.
    """

    def __init__(
        self, symbols: tuple[str, ...], config: AlignerConfig = AlignerConfig(), separators: tuple[str, ...] = ()
    ):
        super().__init__()
        self.config = config
        self.separators = {i for i, symbol in enumerate(symbols) if symbol in separators}
        names = [_class_name(symbol, separators) for symbol in symbols]
        order = {name: i + 1 for i, name in enumerate(dict.fromkeys(names[1:]))}
        self.register_buffer("classes", torch.tensor([0] + [order[n] for n in names[1:]]), persistent=False)
        self.mel = LogMel(config.sample_rate, 4 * config.hop, config.hop, config.n_mels)
        self.enter = nn.Linear(2 * config.n_mels, config.dim)
        self.blocks = Stack(ConvNeXtBlock(config.dim) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.dim)
        self.leave = nn.Linear(config.dim, len(order) + 1)

    @property
    def frame_rate(self) -> float:
        return self.config.sample_rate / (2 * self.config.hop)

    def forward(self, wav: Tensor) -> Tensor:
        """(B, T) -> log posteriors (B, T // (2 * hop), classes)."""
        mel = self.mel(wav)
        mel = mel[:, : mel.shape[1] // 2 * 2] / 4 + 1
        mel = F.pad(mel, (0, 0, 0, 2 * self.config.lookahead), value=-1.3)
        x = self.enter(mel.reshape(len(mel), mel.shape[1] // 2, -1))
        x = self.blocks(x)[:, self.config.lookahead :]
        return self.leave(self.norm(x)).float().log_softmax(dim=-1)

    def loss(self, wav: Tensor, wav_lens: Tensor, text: Tensor, text_lens: Tensor) -> Tensor:
        """(B, T), (B,), (B, L), (B,) -> CTC loss a phone, a scalar."""
        posteriors = self(wav).transpose(0, 1)
        frames = (wav_lens // (2 * self.config.hop)).clamp(max=len(posteriors))
        return F.ctc_loss(posteriors, self.classes[text], frames, text_lens, zero_infinity=True)

    @torch.inference_mode()
    def posteriors(self, wav: np.ndarray) -> np.ndarray:
        """A recording (T,) -> log posteriors (N, classes)."""
        return self(torch.from_numpy(np.ascontiguousarray(wav, np.float32))[None])[0].numpy()

    @property
    def hearing(self) -> Hearing:
        rate = self.config.sample_rate
        return Hearing(self.posteriors, self.classes.numpy(), frozenset(self.separators), rate, self.frame_rate)

    def align(self, wav: Tensor, ids: list[int]) -> tuple[np.ndarray, float]:
        """As ``Hearing.align``, of a tensor."""
        return self.hearing.align(wav.numpy(), ids)


def _class_name(symbol: str, separators: tuple[str, ...]) -> str:
    if symbol in separators[1:]:
        return "pause"
    return symbol.strip(STRESS)
