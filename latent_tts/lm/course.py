"""A batch of utterances on its way through a LatentLM, frame after frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from latent_tts.frames import Sampling, Utterances
from latent_tts.nn.state import State

if TYPE_CHECKING:
    from latent_tts.lm.latent_lm import LatentLM


class Course:
    """Prompts are read; then, step by step, ``draw`` makes frames by what was decided and ``go_on`` hears them.

    ``state`` (B, H) is that of the step at hand.
    """

    def __init__(self, lm: LatentLM, prompt: Utterances):
        self.lm, self.past, self.reading = lm, State(), lm.reading(prompt)
        self.padding = self.reading.padding if self.reading.padding.any() else None
        self.state = lm.transformer(self.reading.inputs, self.past, self.padding, self.reading.positions)[:, -1]
        last = prompt.frame_lens[:, None, None]
        self.frames = F.pad(prompt.frames, (0, 0, 1, 0)).take_along_dim(last, dim=1)[:, 0]

    def draw(self, moves: Tensor, places: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        """The frames (B, D) of a step: its decisions (B,), where it is in the Reading's tables (B,), and unit noise
        (B, noise_dim)."""
        seen = self.reading.at(places)
        self.frames, self.heard = self.lm.draw(self.state, moves, seen, self.frames, noise, sampling)
        return self.frames

    def go_on(self) -> None:
        """On to the next step, which hears the frames just drawn."""
        self.state = self.lm.transformer(self.heard[:, None], self.past, self.padding)[:, 0]
