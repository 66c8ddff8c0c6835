"""A LatentLM that reads its text through a monotone pointer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Utterances
from latent_tts.lm.conditioning import AlignedText, ReferenceEncoder, pointers_of
from latent_tts.lm.latent_lm import LatentLM, LatentLMConfig, Lesson, Reading, at_their_ends, has_text, in_reference


@dataclass(frozen=True)
class AlignedLMConfig(LatentLMConfig):
    """Sizes of a language model with a pointer."""

    text_dim: int = 256
    max_advance: int = 7  # phones that may begin in one frame
    advance_weight: float = 0.2

    def build(self) -> AlignedLM:
        return AlignedLM(self)


class AlignedLM(LatentLM):
    """Step t sees the frame before it, how many phones began in that frame, the phones around the pointer, whether it
    belongs to the reference, and the voice as one vector. It draws first how many phones begin in its own frame, then
    the frame itself, given that. When the pointer has passed the last phone the utterance is over.

    Needs ``starts``: when each phone of the training data begins.
    """

    decision = "advance"

    def __init__(self, config: AlignedLMConfig = AlignedLMConfig()):
        super().__init__(config, config.advance_weight)
        for embedding in (self.begun, self.segment, self.chosen, self.text.embedding):
            nn.init.normal_(embedding.weight, std=0.3)

    def add_reading(self) -> None:
        c = self.config
        self.text = AlignedText(c.vocabulary, c.text_dim, c.dim, dropout=c.dropout)
        self.reference = ReferenceEncoder(c.frame_dim, c.text_dim, c.dim, dropout=c.dropout)

    def add_inputs(self) -> None:
        self.begun = nn.Embedding(self.config.max_advance + 1, self.config.dim)
        self.segment = nn.Embedding(2, self.config.dim)  # 0 utterance, 1 reference

    def add_decision(self) -> None:
        self.advance = nn.Linear(self.config.dim, self.config.max_advance + 1)
        self.chosen = nn.Embedding(self.config.max_advance + 1, self.config.dim)

    def lesson(self, batch: Utterances) -> Lesson:
        references = batch.frames[:, : int(batch.prompt_lens.max())]
        texts, voice = self.read(replace(batch, frames=references))
        pointers, advances = self._moves(batch, batch.text_lens)
        inputs = self._inputs(batch, texts, voice, pointers[:, :-1], advances)
        told = self.chosen(advances), self.text.window_after(texts, pointers[:, 1:]), voice[:, None]
        return Lesson(inputs, None, advances, pointers[:, 1:], told)

    def decision_loss(self, states: Tensor, decisions: Tensor) -> Tensor:
        """Cross entropy of the pointer's moves, in nats."""
        return F.cross_entropy(self.advance(states).float(), decisions)

    @property
    def limit(self) -> int:
        return self.config.max_advance

    def reading(self, prompt: Utterances) -> Reading:
        texts, voice = self.read(prompt)
        inputs, padding = self.prompted(prompt, texts, voice)
        places = torch.arange(texts.shape[1], device=texts.device)[None]
        before, after = self.text.window_before(texts, places), self.text.window_after(texts, places)
        return Reading(inputs, padding, before + self.segment.weight[0] + voice[:, None], after + voice[:, None])

    def think(self, state: Tensor) -> Tensor:
        return self.advance(state)

    def decided(self, moves: Tensor) -> tuple[Tensor, Tensor]:
        return self.chosen(moves), self.begun(moves)

    def read(self, batch: Utterances) -> tuple[Tensor, Tensor]:
        """Text states (B, L + 2, C) and voice vectors (B, H)."""
        return self.text.encode(batch.text, batch.text_lens), self.reference(batch.frames, batch.prompt_lens)

    def prompted(self, prompt: Utterances, texts: Tensor, voice: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (B, P + 1, H) up to the utterance's first step, rows aligned at their ends, and their padding."""
        pointers, advances = self._moves(prompt, prompt.prompt_text_lens)
        inputs = self._inputs(prompt, texts, voice, pointers[:, :-1], advances)
        return at_their_ends(inputs, prompt.frame_lens + 1)

    def _moves(self, batch: Utterances, known: Tensor) -> tuple[Tensor, Tensor]:
        """Pointers (B, N + 2) and advances (B, N + 1) where the first ``known`` (B,) phones' starts are known."""
        pointers = pointers_of(batch.starts, known, batch.frame_lens, batch.frames.shape[1] + 2)
        return pointers, (pointers[:, 1:] - pointers[:, :-1]).clamp(max=self.config.max_advance)

    def _inputs(self, batch: Utterances, texts: Tensor, voice: Tensor, pointers: Tensor, advances: Tensor) -> Tensor:
        """Step inputs (B, N + 1, H) from frames (B, N, D), pointers and advances (B, N + 1)."""
        count = pointers.shape[1]
        before = F.pad(self.begun(advances[:, :-1]) + self.frame(batch.frames), (0, 0, 1, 0))
        start = (torch.arange(count, device=before.device) == 0)[:, None] * self.first
        window = self.text.window_before(texts, pointers)
        window = torch.where(has_text(batch, count)[..., None], window, self.text.unknown)
        return before + start + window + self.segment(in_reference(batch, count)) + voice[:, None]
