"""A LatentLM that reads its text as a prefix: the form of the paper."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.draws import RowDraws
from latent_tts.lm.latent_lm import LatentLM, LatentLMConfig, Lesson, at_their_ends, in_reference

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrefixLMConfig(LatentLMConfig):
    """Sizes of a language model with a text prefix.

    ``most_frames`` a phone, and ``PrefixWalk.grace`` more, end an utterance that does not stop. At 12.5 frames a second
    a phone takes one frame on average; of 30000 clips of read speech the slowest took 3.4 a phone and two thirds of
    this limit. Faster frames want more of them.
    """

    stop_weight: float = 0.2
    stop_positive: float = 100.0  # how much more a missed end counts than a wrong one (as in MELLE, Meng et al. 2024)
    most_frames: float = 4.0

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
        return Lesson(inputs, padding, steps == batch.frame_lens[:, None], ())

    def decision_loss(self, states: Tensor, decisions: Tensor) -> Tensor:
        """Binary cross entropy in nats, in which the ends weigh ``stop_positive``."""
        positive = torch.tensor(self.config.stop_positive, device=states.device)
        logits = self.stop(states)[:, 0].float()
        return F.binary_cross_entropy_with_logits(logits, decisions.float(), pos_weight=positive)

    def walk(self, prompt: Utterances, sampling: Sampling) -> PrefixWalk:
        return PrefixWalk(self, prompt, sampling)

    def prompted(self, prompt: Utterances) -> tuple[Tensor, Tensor | None]:
        """Inputs (B, L + P + 1, H) up to the utterance's first step, rows aligned at their ends, and their padding."""
        inputs, _ = self._inputs(prompt)
        places = prompt.text.shape[1]
        inputs, _ = at_their_ends(inputs, places + prompt.frame_lens + 1)
        padding = inputs.shape[1] - 1 - prompt.text_lens - prompt.frame_lens
        return inputs, padding if padding.any() else None

    def _inputs(self, batch: Utterances) -> tuple[Tensor, Tensor | None]:
        """(B, L + N + 1, H): texts that end together, and the frames behind them; padding before the texts (B,)."""
        text, padding = text_before_frames(self.text, self.segment, batch)
        first = self.first.expand(len(text), 1, -1)
        frames = torch.cat([first, self.frame(batch.frames)], dim=1)
        return torch.cat([text, frames + self.segment(in_reference(batch, frames.shape[1]))], dim=1), padding


class PrefixWalk:
    """A Walk that ends where the model says so, or at ``limit`` frames, which is logged as a warning.

    No row is empty. The end is where the learnt logit is above 0, not drawn: a draw at every step would end some
    utterances anywhere.
    """

    grace = 16  # frames more than the text accounts for: a breath before and after

    def __init__(self, lm: PrefixLM, prompt: Utterances, sampling: Sampling):
        refuse_speed(sampling)
        self.lm = lm
        self.inputs, self.padding = lm.prompted(prompt)
        self.phones = prompt.text_lens - prompt.prompt_text_lens
        self.limit = (lm.config.most_frames * self.phones).long() + self.grace
        self.alive = torch.ones_like(self.phones, dtype=torch.bool)
        self.spoken = torch.full_like(self.phones, -1)
        self.made = 0
        self.noise = RowDraws(sampling.seeds(len(prompt)), prompt.text.device).normal

    def decide(self, state: Tensor) -> tuple[Tensor, ...]:
        over = (self.lm.stop(state)[:, 0] > 0) & (self.made > 0)
        cut = self.alive & ~over & (self.made >= self.limit)
        tell_of_cut(self.phones[cut], self.made)
        self.alive = self.alive & ~over & ~cut
        self.made += 1
        return ()

    def beside(self) -> tuple[Tensor, ...]:
        return (self.lm.segment.weight[0],)


def text_before_frames(text: nn.Embedding, segment: nn.Embedding, batch: Utterances) -> tuple[Tensor, Tensor | None]:
    """Embedded texts (B, L, H) that end together, the reference's in segment 3 and the utterance's in 2, and how many
    leading places of a row are padding (B,), None where none is."""
    heard = torch.arange(batch.text.shape[1], device=batch.text.device) < batch.prompt_text_lens[:, None]
    return at_their_ends(text(batch.text) + segment(2 + heard.long()), batch.text_lens)


def refuse_speed(sampling: Sampling) -> None:
    """UserError where another speed than the model's own is asked for."""
    if sampling.speed != 1:
        raise UserError(f"speed is {sampling.speed}, but this model has no pointer to move faster; leave it at 1")


def tell_of_cut(phones: Tensor, frames: int) -> None:
    """A warning for each row, of so many ``phones`` (M,), that ``frames`` frames did not end."""
    for count in phones.tolist():
        log.warning("cut off after %d frames for %d phones: the model did not stop", frames, count)
