"""A LatentLM that reads its text as a prefix: the form of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Utterances
from latent_tts.lm.latent_lm import LatentLM, LatentLMConfig, Lesson, Reading, at_their_ends, in_reference


@dataclass(frozen=True)
class PrefixLMConfig(LatentLMConfig):
    """Sizes of a language model with a text prefix.

    ``most_frames`` a phone, and ``StopWalk.grace`` more, end an utterance that does not stop. At 12.5 frames a second
    a phone takes one frame on average; of 30000 clips of read speech the slowest took 3.4 a phone and two thirds of
    this limit. Faster frames want more of them.

    ``text_stride`` lays the text beside the frames that say it, so that attention finds what is being said near where
    it stands: phone k of n has the rotary position of the step that is k / n through the utterance (as in VoiceStar,
    Peng et al. 2025; VALL-E counts the positions of text and codes apart, too). What is still to be said counts
    ``text_stride`` frames a phone. None: text and frames are one sequence, as in LatentLM.
    """

    stop_weight: float = 0.2
    stop_positive: float = 100.0  # how much more a missed end counts than a wrong one (as in MELLE, Meng et al. 2024)
    most_frames: float = 4.0
    text_stride: float | None = None

    def build(self) -> PrefixLM:
        return PrefixLM(self)


class PrefixLM(LatentLM):
    """One causal sequence: text of the reference where it is known, text of the utterance, frames of the reference,
    frames of the utterance. Each step decides first whether the utterance is over, and then draws its frame.

        inputs    a b c d | 0 1 2 3 4        a b: heard in frames 0 and 1, the reference; "|" in place of a frame
        draws             0 1 2 3 4 .
        decides           0 0 0 0 0 1

    Attention has to learn where in its text it is; ``starts`` are not used.
    """

    decision = "stop"

    def __init__(self, config: PrefixLMConfig = PrefixLMConfig()):
        super().__init__(config, config.stop_weight)
        for embedding in (self.text, self.segment):
            nn.init.normal_(embedding.weight, std=0.3)

    def add_reading(self) -> None:
        self.text = nn.Embedding(self.config.vocabulary, self.config.dim)

    def add_inputs(self) -> None:
        self.segment = nn.Embedding(4, self.config.dim)  # frames of 0 utterance, 1 reference; text of 2 and 3

    def add_decision(self) -> None:
        self.stop = nn.Linear(self.config.dim, 1)

    def lesson(self, batch: Utterances) -> Lesson:
        steps = torch.arange(batch.frames.shape[1] + 1, device=batch.text.device)
        inputs, padding = self._inputs(batch)
        padding = padding if padding.any() else None
        positions = self._positions(batch, own_stride(batch))
        ends = (steps == batch.frame_lens[:, None]).long()
        return Lesson(inputs, padding, ends, torch.zeros_like(ends), (), positions)

    def decision_loss(self, states: Tensor, decisions: Tensor) -> Tensor:
        """Binary cross entropy in nats, in which the ends weigh ``stop_positive``."""
        positive = torch.tensor(self.config.stop_positive, device=states.device)
        logits = self.stop(states)[:, 0].float()
        return F.binary_cross_entropy_with_logits(logits, decisions.float(), pos_weight=positive)

    @property
    def limit(self) -> float:
        return self.config.most_frames

    def reading(self, prompt: Utterances) -> Reading:
        inputs, padding, positions = self.prompted(prompt)
        segment = self.segment.weight[:1].expand(inputs.shape[0], 1, -1)  # of the utterance; the text has been read
        return Reading(inputs, padding, segment, torch.zeros_like(segment), positions)

    def think(self, state: Tensor) -> Tensor:
        return self.stop(state)

    def decided(self, moves: Tensor) -> tuple[Tensor, Tensor]:
        nothing = torch.zeros_like(self.null)
        return nothing, nothing

    def prompted(self, prompt: Utterances) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs (B, L + P + 1, H) up to the utterance's first step, rows aligned at their ends, their padding and
        positions."""
        inputs, _ = self._inputs(prompt)
        count = prompt.text.shape[1] + prompt.frame_lens + 1
        positions = positions_at_their_ends(self._positions(prompt, self.config.text_stride), count)
        inputs, _ = at_their_ends(inputs, count)
        return inputs, inputs.shape[1] - 1 - prompt.text_lens - prompt.frame_lens, positions

    def _positions(self, batch: Utterances, stride: Tensor | float | None) -> Tensor | None:
        if self.config.text_stride is None:
            return None
        return text_beside_frames(batch, batch.frames.shape[1] + 1, stride)

    def _inputs(self, batch: Utterances) -> tuple[Tensor, Tensor]:
        """(B, L + N + 1, H): texts that end together, and the frames behind them; padding before the texts (B,)."""
        text, padding = text_before_frames(self.text, self.segment, batch)
        first = self.first.expand(text.shape[0], 1, -1)
        frames = torch.cat([first, self.frame(batch.frames)], dim=1)
        return torch.cat([text, frames + self.segment(in_reference(batch, frames.shape[1]))], dim=1), padding


def text_before_frames(text: nn.Embedding, segment: nn.Embedding, batch: Utterances) -> tuple[Tensor, Tensor]:
    """Embedded texts (B, L, H) that end together, the reference's in segment 3 and the utterance's in 2, and how many
    leading places of a row are padding (B,)."""
    heard = torch.arange(batch.text.shape[1], device=batch.text.device) < batch.prompt_text_lens[:, None]
    return at_their_ends(text(batch.text) + segment(2 + heard.long()), batch.text_lens)


def own_stride(batch: Utterances) -> Tensor:
    """(B, 1) frames that a phone of each utterance takes."""
    return ((batch.frame_lens - batch.prompt_lens) / (batch.text_lens - batch.prompt_text_lens))[:, None]


def text_beside_frames(batch: Utterances, steps: int, stride: Tensor | float, group: int = 1) -> Tensor:
    """Positions (B, L + steps) of texts that end together and of steps of ``group`` frames behind them. A step's is its
    place; a phone's that of the step at which it is said if each takes ``stride`` frames, one number or (B, 1),
    those of a reference what they have taken."""
    places, heard = batch.text.shape[1], (batch.prompt_lens // group)[:, None]
    phones = torch.arange(places, device=batch.text.device) - (places - batch.text_lens[:, None])
    known = batch.prompt_text_lens[:, None]
    of_reference = phones * heard / known.clamp(min=1)
    of_utterance = heard + (phones - known) * stride / group
    text = places + torch.where(phones < known, of_reference, of_utterance)
    frames = torch.arange(places, places + steps, device=text.device, dtype=text.dtype)
    return torch.cat([text, frames.expand(len(text), -1)], dim=1)


def positions_at_their_ends(positions: Tensor | None, lens: Tensor) -> Tensor | None:
    """Positions (B, M) of rows that ``at_their_ends`` moves: as far as their steps have moved."""
    if positions is None:
        return None
    moved, by = at_their_ends(positions[..., None], lens)
    return moved[..., 0] + by[:, None]
