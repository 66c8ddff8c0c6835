"""LatentLM: a causal Transformer over frames whose next frame is drawn by a head.

How it sees its text is the matter of what extends it: ``aligned.py`` and ``prefix.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Chunk, FrameFormat, Sampling, Utterances
from latent_tts.lm.course import Course
from latent_tts.lm.estranged import estranged
from latent_tts.lm.heads import build_head
from latent_tts.lm.sizes import LMConfig
from latent_tts.lm.spans import at_utterances, frames_to_say, reference_of, utterance_of, within
from latent_tts.lm.walks import WALKS, Walk
from latent_tts.nn.transformer import Transformer

DRAFT = Sampling(steps=2)  # how a model is heard by itself in training: close to what it says, and quickly drawn


@dataclass(frozen=True)
class LatentLMConfig(LMConfig):
    """Sizes and regularisation that every LatentLM has; what extends it adds those of its text."""

    frame_dim: int = 64
    head: str = "ddpm"  # how a frame is drawn: ddpm, flow or energy
    head_dim: int = 384
    head_layers: int = 3
    draws: int = 4  # noises a frame in training
    guidance: str | None = None  # of the head's output or of its condition; None: as is usual for the head
    previous_frame: bool = False  # whether the head's condition has the frame before in it
    condition_dropout: float = 0.1  # how often the head learns without its condition, for guidance
    history_noise: float = 0.0  # in training: most noise on the utterance as it is heard, in standard deviations
    history_voice: float = 0.0  # in training: most of the way to another voice that the utterance as heard is moved
    own_history: float = 0.0  # in training: how often a batch hears the model in place of its recorded utterances

    @abstractmethod
    def build(self) -> LatentLM:
        """A new one, of these sizes."""


class Lesson(NamedTuple):
    """A batch of N frames as the Transformer learns from it. Its last N + 1 inputs are steps: step t has seen the
    frames before t, decides, and draws frame t; the decision of the step behind a row's last frame ends the row."""

    inputs: Tensor  # (B, P + N + 1, H), P of them before the steps
    padding: Tensor | None  # (B,) int64, how many leading inputs of a row are none
    decisions: Tensor  # (B, N + 1), what is to be decided at each step
    places: Tensor  # (B, N + 1) int64, the rows of a Reading's tables that the steps are at
    told: tuple[Tensor, ...]  # each (B, N + 1, H), added to a step's state before it becomes the head's condition
    positions: Tensor | None = None  # (B, P + N + 1) of the inputs, where these are not their places


class Reading(NamedTuple):
    """What a language model has read of a batch of prompts before it makes their first frames. A table's row is for one
    place in the text, at which a Walk says that a step is."""

    inputs: Tensor  # (B, M, H), all that comes before the first frame; rows end together, at their first step
    padding: Tensor  # (B,) int64, how many leading inputs of a row are none
    before: Tensor  # (B, places, H), what a step sees beside the frame before it and the decision behind that one
    after: Tensor  # (B, places, H), what the head is told beside this step's decision
    positions: Tensor | None = None  # (B, M) of the inputs, where these are not their places

    def at(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """The rows of both tables (B, H) for places (B,)."""
        rows = torch.arange(len(places), device=places.device)
        return self.before[rows, places], self.after[rows, places]


class LatentLM(nn.Module, ABC):
    """Next-token diffusion over codec frames (Sun et al. 2024).

    What extends it says how a batch becomes inputs (``lesson``), what is decided at each step, besides the frame
    (``decision`` names it and the Walk through a prompt; ``decision_loss``), and what is read of prompts (``reading``).
    """

    decision: str  # of WALKS

    def __init__(self, config: LatentLMConfig, decision_weight: float):
        """Modules stand in the order in which a step meets them. A checkpoint's optimiser state has the same order."""
        super().__init__()
        c = self.config = config
        self.decision_weight = decision_weight
        self.add_reading()
        self.frame = nn.Linear(c.frame_dim, c.dim)
        self.first = nn.Parameter(torch.zeros(c.dim))  # in place of the frame before the first
        self.add_inputs()
        self.transformer = Transformer(c.dim, c.layers, c.heads, c.dropout)
        self.add_decision()
        self.condition = nn.Sequential(nn.Linear(c.dim, c.dim), nn.SiLU(), nn.Linear(c.dim, c.dim))
        self.null = nn.Parameter(torch.zeros(c.dim))
        self.previous = nn.Linear(c.frame_dim, c.dim, bias=False) if c.previous_frame else None
        self.head = build_head(c.head, c.frame_dim, c.dim, c.head_dim, c.head_layers, c.draws, c.guidance)

    @abstractmethod
    def add_reading(self) -> None:
        """Add the modules that read text and reference."""

    @abstractmethod
    def add_inputs(self) -> None:
        """Add the modules that make inputs of what was read and of frames."""

    @abstractmethod
    def add_decision(self) -> None:
        """Add the modules that decide, and tell the head."""

    @abstractmethod
    def lesson(self, batch: Utterances) -> Lesson:
        """A batch to learn from as inputs and decisions."""

    @abstractmethod
    def decision_loss(self, states: Tensor, decisions: Tensor) -> Tensor:
        """States (M, H) of steps, what was to be decided (M,) -> a scalar."""

    @property
    @abstractmethod
    def limit(self) -> float:
        """What the Walk may do at most."""

    @abstractmethod
    def reading(self, prompt: Utterances) -> Reading:
        """What there is to read of prompts: their references, as ``frames`` and ``starts``, and all of their text."""

    @abstractmethod
    def think(self, state: Tensor) -> Tensor:
        """States (B, H) of a step -> what the Walk decides by (B, K)."""

    @abstractmethod
    def decided(self, moves: Tensor) -> tuple[Tensor, Tensor]:
        """Decisions (B,) -> what the head is told of them and what the next step sees of them, both (B, H)."""

    def walk(self, prompt: Utterances, sampling: Sampling) -> Walk:
        """A new walk. UserError where this way of seeing text cannot do what ``sampling`` asks for."""
        return WALKS[self.decision](prompt.to("cpu"), self.limit, sampling)

    @property
    def frame_format(self) -> FrameFormat:
        return FrameFormat(self.config.frame_dim)

    def evaluations(self, frames: int, sampling: Sampling) -> dict[str, int]:
        """A step a frame, and one that decides the end; the head is asked once a frame or more often."""
        drawn = frames * self.head.evaluations(sampling)
        return {"decoding_steps": frames + 1, "network_evaluations": frames + 1 + drawn}

    def loss(self, batch: Utterances) -> dict[str, Tensor]:
        """``frame``: the head's loss; the decisions' loss under their own name."""
        return self.losses(*self.learnt(batch))

    def losses(self, frames: Tensor, cond: Tensor, decision: Tensor) -> dict[str, Tensor]:
        """The same of what ``learnt`` gives."""
        dropped = torch.rand(len(cond), 1, device=cond.device) < self.config.condition_dropout
        frame = self.head.loss(frames, torch.where(dropped, self.null, cond)).mean()
        return {"loss": frame + self.decision_weight * decision, "frame": frame, self.decision: decision}

    def learnt(self, batch: Utterances) -> tuple[Tensor, Tensor, Tensor]:
        """What a batch teaches: frames (M, D), the conditions (M, H) to draw them from, the loss () of decisions."""
        return self.learnt_behind(self._as_heard(batch), batch)

    def learnt_behind(self, heard: Utterances, batch: Utterances) -> tuple[Tensor, Tensor, Tensor]:
        """The same where the batch's frames come behind those of ``heard``, which is alike but for its frames."""
        count = batch.frames.shape[1] + 1
        lesson, states = self._heard(heard)
        decided, drawn = has_text(batch, count) & within(batch.frame_lens + 1, count), frames_learnt(batch, count)
        decision = self.decision_loss(states[decided], lesson.decisions[decided])
        cond = self.conditions(states, lesson.told, F.pad(batch.frames, (0, 0, 1, 0)))
        return batch.frames[drawn[:, :-1]], cond[drawn], decision

    def conditions(self, states: Tensor, told: tuple[Tensor, ...], before: Tensor) -> Tensor:
        """What the head is given: (..., H) from steps' states, what else it is told, each (..., H), and the frames
        (..., D) before those to be drawn, zeros where there is none."""
        cond = self.condition(sum(told, states))
        return cond if self.previous is None else cond + self.previous(before)

    def _heard(self, batch: Utterances) -> tuple[Lesson, Tensor]:
        """The lesson of a batch, and the states (B, N + 1, H) of its steps."""
        lesson = self.lesson(batch)
        states = self.transformer(lesson.inputs, padding=lesson.padding, positions=lesson.positions)
        return lesson, states[:, -batch.frames.shape[1] - 1 :]

    def _as_heard(self, batch: Utterances) -> Utterances:
        """In training, a batch whose utterances steps hear otherwise than recorded: what the model makes is never
        quite right, so what it hears of itself should not be trusted to the letter. References stay as they are."""
        c = self.config
        if not self.training:
            return batch
        if c.own_history and torch.rand(()) < c.own_history:
            return self.retold(batch, DRAFT)
        if c.history_voice:
            batch = estranged(batch, c.history_voice)
        if not c.history_noise:
            return batch
        strength = c.history_noise * torch.rand(len(batch), 1, 1, device=batch.frames.device)
        strength = strength * (1 - in_reference(batch, batch.frames.shape[1]))[..., None]
        return replace(batch, frames=batch.frames + strength * torch.randn_like(batch.frames))

    @torch.no_grad()
    def redrawn(self, batch: Utterances, sampling: Sampling) -> Tensor:
        """Frames (B, N, D) all drawn at once, each after those that the batch has before it: teacher forcing."""
        lesson, states = self._heard(batch)
        cond = self.conditions(states, lesson.told, F.pad(batch.frames, (0, 0, 1, 0)))[:, :-1].flatten(0, 1)
        noise = torch.randn(len(cond), self.head.noise_dim, device=cond.device)
        return self.head.sample(cond, self.null, sampling, noise).view_as(batch.frames).to(batch.frames.dtype)

    @torch.no_grad()
    def retold(self, batch: Utterances, sampling: Sampling) -> Utterances:
        """A batch whose utterances the model itself has said, each frame behind those that it made before it, at the
        recorded pace: where it would have been led by its own voice, with what should have come next still known.
        Learnt behind such frames, it is taught where it strays: scheduled sampling (Bengio et al. 2015) of whole
        utterances, so DAgger (Ross et al. 2011) with recordings for an expert."""
        training, made = self.training, []
        lesson = self.eval().lesson(batch)
        decisions, places = (utterance_of(values, batch) for values in (lesson.decisions, lesson.places))
        course = Course(self, replace(batch, frames=reference_of(batch), frame_lens=batch.prompt_lens))
        for moves, at in zip(decisions.T, places.T):
            if made:
                course.go_on()
            noise = torch.randn(len(batch), self.head.noise_dim, device=at.device)
            made.append(course.draw(moves, at, noise, sampling))
        self.train(training)
        own = at_utterances(torch.stack(made, dim=1), batch).to(batch.frames.dtype)
        return replace(batch, frames=torch.where(frames_to_say(batch)[..., None], own, batch.frames))

    @torch.inference_mode()
    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """One frame a chunk until every row has come to its end.

        ``prompt`` holds the references' frames, the phones of references and utterances, and the ``starts`` of the
        references' phones.
        """
        prompt = prompt.to(self.null.device)
        walk, course = self.walk(prompt, sampling), Course(self, prompt)
        while True:
            moves = walk.step(self.think(course.state).float().cpu().numpy())
            if not walk.alive.any():
                return
            drawn = moves, walk.places, walk.noise(self.head.noise_dim)
            frames = course.draw(*(torch.from_numpy(x).to(prompt.frames.device) for x in drawn), sampling)
            yield Chunk(frames[:, None], *(torch.from_numpy(known[:, None]) for known in (walk.alive, walk.spoken)))
            course.go_on()

    def draw(
        self,
        state: Tensor,
        moves: Tensor,
        seen: tuple[Tensor, Tensor],
        frames: Tensor,
        noise: Tensor,
        sampling: Sampling,
    ) -> tuple[Tensor, Tensor]:
        """The frames (B, D) of a step and the input (B, H) of the next, from the step's state (B, H), its decision
        (B,), its rows of the tables ``before`` and ``after`` (B, H), the frames before it (B, D) and unit noise (B,
        noise_dim)."""
        before, after = seen
        told, also = self.decided(moves)
        cond = self.conditions(state, (told, after), frames)
        drawn = self.head.sample(cond, self.null, sampling, noise)
        return drawn, before + also + self.frame(drawn)


def has_text(batch: Utterances, count: int) -> Tensor:
    """(B, count) whether a step's text is known: in the utterance always, in the reference if given.

    Frames that cannot be read are context only: they are not learnt.
    """
    spoken = torch.arange(count, device=batch.text.device) >= batch.prompt_lens[:, None]
    return spoken | (batch.prompt_text_lens > 0)[:, None]


def frames_learnt(batch: Utterances, count: int) -> Tensor:
    """(B, count) whether a step draws a frame that is learnt."""
    return has_text(batch, count) & within(batch.frame_lens, count)


def in_reference(batch: Utterances, count: int) -> Tensor:
    """(B, count) int64: 1 at the steps of the reference, 0 at those of the utterance."""
    return (torch.arange(count, device=batch.text.device) < batch.prompt_lens[:, None]).long()


def at_their_ends(x: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (B, M, H) of lengths (B,) moved so that they end together -> (B, M, H), leading places that are padding
    (B,)."""
    padding = x.shape[1] - lens
    index = torch.arange(x.shape[1], device=x.device) - padding[:, None]
    return x.gather(1, index.clamp(min=0)[..., None].expand_as(x)), padding
