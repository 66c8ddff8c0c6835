"""Where each phone of a known text begins in a recording: a small CTC network and a Viterbi search over its output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.align.pauses import settle_pauses
from latent_tts.errors import UserError
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
    def align(self, wav: Tensor, ids: list[int]) -> tuple[np.ndarray, float]:
        """A recording (T,) and its phone ids -> seconds at which each phone begins (L,), mean log posterior a phone.

        UserError where the recording is too short for the text.
        """
        posteriors = self(wav[None])[0].numpy()
        starts, score = viterbi(posteriors, self.classes[torch.tensor(ids)].numpy())
        pauses = [i in self.separators for i in ids]
        return settle_pauses(wav.numpy(), self.config.sample_rate, starts / self.frame_rate, pauses), score


def _class_name(symbol: str, separators: tuple[str, ...]) -> str:
    if symbol in separators[1:]:
        return "pause"
    return symbol.strip(STRESS)


def viterbi(posteriors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """The best CTC path of ``labels`` (L,) through log posteriors (N, classes), class 0 being the blank.

    -> the first frame of each label (L,) and the mean log posterior of the labels at their first frames. Equal to
    ``torchaudio.functional.forced_align``, which cannot be imported where only inference is installed.
    """
    count, states = len(posteriors), 2 * len(labels) + 1
    path_labels = np.zeros(states, dtype=np.int64)
    path_labels[1::2] = labels
    need = len(labels) + int((labels[1:] == labels[:-1]).sum())
    if count < need:
        raise UserError(f"the recording has {count} frames for {need} phones: it is too short for its text")
    skip = np.zeros(states, dtype=bool)
    skip[3::2] = labels[1:] != labels[:-1]
    score = np.full(states, -np.inf, dtype=np.float64)
    score[:2] = posteriors[0, path_labels[:2]]
    came = np.zeros((count, states), dtype=np.int8)
    for t in range(1, count):
        options = np.stack(
            [score, np.r_[-np.inf, score[:-1]], np.where(skip, np.r_[-np.inf, -np.inf, score[:-2]], -np.inf)]
        )
        came[t] = options.argmax(axis=0)
        score = options.max(axis=0) + posteriors[t, path_labels]
    state = states - 1 if score[-1] >= score[-2] else states - 2
    first = np.zeros(len(labels), dtype=np.int64)
    for t in range(count - 1, -1, -1):
        if state % 2:
            first[state // 2] = t
        state -= int(came[t, state])
    return first, float(posteriors[first, labels].mean())
