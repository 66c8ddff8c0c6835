"""A LatentLM that reads its text through a monotone pointer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.conditioning import AlignedText, ReferenceEncoder, pointers_of
from latent_tts.lm.latent_lm import LatentLM, LatentLMConfig, Lesson, at_their_ends, has_text, in_reference
from latent_tts.lm.pointer import PointerWalk


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
        texts, voice = self.read(batch)
        pointers, advances = self._moves(batch, batch.text_lens)
        inputs = self._inputs(batch, texts, voice, pointers[:, :-1], advances)
        told = self.chosen(advances), self.text.window_after(texts, pointers[:, 1:]), voice[:, None]
        return Lesson(inputs, None, advances, told)

    def decision_loss(self, states: Tensor, decisions: Tensor) -> Tensor:
        """Cross entropy of the pointer's moves, in nats."""
        return F.cross_entropy(self.advance(states).float(), decisions)

    def walk(self, prompt: Utterances, sampling: Sampling) -> AlignedWalk:
        return AlignedWalk(self, prompt, sampling)

    def read(self, batch: Utterances) -> tuple[Tensor, Tensor]:
        """Text states (B, L + 2, C) and voice vectors (B, H)."""
        voice = self.reference(batch.frames[:, : int(batch.prompt_lens.max())], batch.prompt_lens)
        return self.text.encode(batch.text, batch.text_lens), voice

    def prompted(self, prompt: Utterances, texts: Tensor, voice: Tensor) -> tuple[Tensor, Tensor | None]:
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


class AlignedWalk:
    """A Walk by the moves of a pointer. What it shows of the text is computed beforehand, for every place of it."""

    def __init__(self, lm: AlignedLM, prompt: Utterances, sampling: Sampling):
        self.lm = lm
        self.texts, self.voice = lm.read(prompt)
        self.inputs, self.padding = lm.prompted(prompt, self.texts, self.voice)
        places = torch.arange(self.texts.shape[1], device=self.texts.device).expand(len(prompt), -1)
        self.before, self.after = lm.text.window_before(self.texts, places), lm.text.window_after(self.texts, places)
        self.pointer = PointerWalk(prompt, lm.config.max_advance, sampling)
        self.noise = self.pointer.draws.normal

    @property
    def alive(self) -> Tensor:
        return self.pointer.alive

    @property
    def spoken(self) -> Tensor:
        return self.pointer.spoken

    def decide(self, state: Tensor) -> tuple[Tensor, ...]:
        self.advances = self.pointer.step(self.lm.advance(state).float())
        return self.lm.chosen(self.advances), self._at(self.after), self.voice

    def beside(self) -> tuple[Tensor, ...]:
        return self.lm.begun(self.advances), self.lm.segment.weight[0], self.voice, self._at(self.before)

    def _at(self, windows: Tensor) -> Tensor:
        """(B, L + 2, H) of all places -> (B, H) of the pointer's."""
        return windows[torch.arange(len(windows), device=windows.device), self.pointer.pointers]
