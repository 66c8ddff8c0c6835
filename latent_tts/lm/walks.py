"""How rows of a batch go through their texts while frames are made: what is decided at each step, and who has ended.

In numpy, whatever computes the rest, so that a seed decides the same everywhere and nothing here needs torch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.draws import RowDraws
from latent_tts.lm.pointer import PointerWalk

log = logging.getLogger(__name__)


class Walk(Protocol):
    """The way of a batch of prompts, one step at a time.

    Each row draws from a generator of its own, seeded alike, so that it does not depend on its neighbours.
    """

    alive: np.ndarray  # (B,) bool, False from the step at which a row ended
    spoken: np.ndarray  # (B,) int64, phones of the utterance that have begun, -1 where that is not known
    places: np.ndarray  # (B,) int64, the row of a Reading's tables that a step sees

    def step(self, logits: np.ndarray) -> np.ndarray:
        """Draw this step's decision from what the model thinks of it (B, K) -> what the model is told of it (B,)."""
        ...

    def noise(self, dim: int) -> np.ndarray:
        """(B, dim) unit noise for the head."""
        ...


class StopWalk:
    """A Walk that ends where the model says so, or after ``most_frames`` a phone and ``grace`` more, which is logged as
    a warning. UserError for a speed: there is no pointer to move faster.

    No row is empty. The end is where the learnt logit is above 0, not drawn: a draw at every step would end some
    utterances anywhere.
    """

    grace = 16  # frames more than the text accounts for: a breath before and after

    def __init__(self, prompt: Utterances, most_frames: float, sampling: Sampling):
        refuse_speed(sampling)
        self.phones = np.asarray(prompt.text_lens) - np.asarray(prompt.prompt_text_lens)
        self.limit = (most_frames * self.phones).astype(np.int64) + self.grace
        self.alive = np.ones(len(prompt), bool)
        self.spoken, self.places = np.full_like(self.phones, -1), np.zeros_like(self.phones)
        self.made = 0
        self.noise = RowDraws(sampling.seeds(len(prompt))).normal

    def step(self, logits: np.ndarray) -> np.ndarray:
        over = (logits[:, 0] > 0) & (self.made > 0)
        cut = self.alive & ~over & (self.made >= self.limit)
        tell_of_cut(self.phones[cut].tolist(), self.made)
        self.alive = self.alive & ~over & ~cut
        self.made += 1
        return self.places


def refuse_speed(sampling: Sampling) -> None:
    """UserError where another speed than the model's own is asked for."""
    if sampling.speed != 1:
        raise UserError(f"speed is {sampling.speed}, but this model has no pointer to move faster; leave it at 1")


def tell_of_cut(phones: Iterable[int], frames: int) -> None:
    """A warning for each row, of so many ``phones``, that ``frames`` frames did not end."""
    for count in phones:
        log.warning("cut off after %d frames for %d phones: the model did not stop", frames, count)


WALKS: dict[str, Callable[[Utterances, float, Sampling], Walk]] = {"advance": PointerWalk, "stop": StopWalk}
