"""What the rooms of the house exchange: batches of utterances, chunks of frames, voices, and how to sample.

An ``Array`` is numpy's where text becomes sound, so that no torch has to be there, and torch's where a network learns
or computes by torch. ``Utterances.to`` is the way from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, Union

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from latent_tts.errors import UserError
from latent_tts.files import write_whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Array: TypeAlias = Union[np.ndarray, "Tensor"]

VOICE_FORMATS = tuple(f"latent_tts voice {n}" for n in (1, 2, 3))  # 2 tells text, rate and consent, 3 the transport


@dataclass(frozen=True)
class Utterances:
    """A training batch; also a prompt, whose frames stop where generation begins.

    Each row is a reference (maybe empty, maybe without text) and then the utterance. ``starts`` says in which frame a
    phone begins; it is known for every phone in training, and for the reference's phones in a prompt.
    """

    text: Array  # (B, L) int64, 0 = pad: the reference's phones, then the utterance's
    text_lens: Array  # (B,) int64
    frames: Array  # (B, N, D) float | (B, N, Q) int64: the reference's frames, then the utterance's
    frame_lens: Array  # (B,) int64
    prompt_lens: Array  # (B,) int64: frames of the reference
    prompt_text_lens: Array  # (B,) int64: phones of the reference, 0 where its text is unknown
    starts: Array  # (B, L) int64: frame in which each phone begins

    def to(self, device: torch.device | str) -> Utterances:
        """The same as tensors on ``device``."""
        import torch

        return Utterances(*(torch.as_tensor(getattr(self, field.name), device=device) for field in fields(self)))

    def __len__(self) -> int:
        return len(self.text)


def stack(rows: list[Utterances]) -> Utterances:
    """Join batches into one, padding phones and frames on the right; of tensors where they hold tensors."""
    return Utterances(*(_joined([getattr(row, field.name) for row in rows]) for field in fields(Utterances)))


def _joined(parts: list[Array]) -> Array:
    """Arrays (B_i, ...) one below the other in one (B, ...) of the largest sizes, zeros where a part has nothing."""
    shape = (sum(map(len, parts)), *np.max([part.shape[1:] for part in parts], axis=0).astype(int).tolist())
    whole = np.zeros(shape, parts[0].dtype) if isinstance(parts[0], np.ndarray) else parts[0].new_zeros(shape)
    row = 0
    for part in parts:
        whole[(slice(row, row + len(part)), *map(slice, part.shape[1:]))] = part
        row += len(part)
    return whole


@dataclass(frozen=True)
class Sampling:
    """How to draw: the same values give the same sound.

    ``steps`` of the head's solver, ``guidance`` (1 = none) towards the condition, ``temperature`` of the frames'
    noise, ``duration_temperature`` of the phones' lengths, ``speed`` (2 = twice as fast), ``seed`` of all noise: one
    for every row of a batch, or a tuple with one for each. The lengths of phones and the speed are those of a pointer.
    ``likeness`` is how far a voice that drifts is taken back to its reference (``lm.likeness``), 0 not at all.
    A model of codes has no noise to scale: it draws them from its ``code_temperature``'s distribution and there from
    the likeliest that have ``top_p`` of it together.
    """

    seed: int | tuple[int, ...] = 0
    steps: int = 5
    guidance: float = 1.5
    temperature: float = 0.6
    duration_temperature: float = 0.7
    speed: float = 1.0
    top_p: float = 0.8
    code_temperature: float = 1.0
    likeness: float = 0.5

    def __post_init__(self):
        limits = {
            "steps": (1, 1000),
            "guidance": (0, 20),
            "temperature": (0, 2),
            "duration_temperature": (0, 2),
            "speed": (0.25, 4),
            "top_p": (0, 1),
            "code_temperature": (0, 2),
            "likeness": (0, 1),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name} is {getattr(self, name)}; choose a value from {low} to {high}")
        for seed in self.seed if isinstance(self.seed, tuple) else (self.seed,):
            if not 0 <= seed < 2**63:
                raise UserError(f"seed is {seed}; choose a value from 0 to {2**63 - 1}")

    def seeds(self, rows: int) -> tuple[int, ...]:
        """The seed of each of ``rows`` rows. UserError where there are as many seeds as something else."""
        if not isinstance(self.seed, tuple):
            return (self.seed,) * rows
        if len(self.seed) != rows:
            raise UserError(f"{len(self.seed)} seeds for {rows} rows; give one seed, or one a row")
        return self.seed


class FrameFormat(NamedTuple):
    """What a frame is: ``width`` floats or, where there are ``entries``, ``width`` codes, each below ``entries``."""

    width: int
    entries: int = 0

    def __str__(self) -> str:
        return f"{self.width} codes of {self.entries}" if self.entries else f"{self.width} floats"


class Chunk(NamedTuple):
    """Frames that a model has just made."""

    frames: Array  # (B, n, D | Q)
    alive: Array  # (B, n) bool, False once a row has stopped
    phones: Array  # (B, n) int64, the utterance's phones that have begun by the end of each frame; -1: not known


class FrameLM(Protocol):
    """What every language model of frames is: a loss over utterances and a generator of chunks."""

    frame_format: FrameFormat

    def loss(self, batch: Utterances) -> dict[str, Tensor]:
        """Named scalars; "loss" is their weighted sum."""
        ...

    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """Chunks until every row has stopped. Every row draws from a generator of its own, seeded as
        ``sampling.seeds`` says, so that it sounds the same alone and in a batch."""
        ...

    def evaluations(self, frames: int, sampling: Sampling) -> dict[str, int]:
        """What an utterance of so many frames costs: ``decoding_steps``, passes of the language model that wait for one
        another, and ``network_evaluations``, passes of any network, a head's solver and guidance included."""
        ...


@dataclass(frozen=True)
class Voice:
    """A cloned voice: the reference's frames and, where its text is known, its phones and where they begin."""

    frames: np.ndarray  # (N, D) float32 | (N, Q) int64
    phones: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()
    model: str = ""  # hash of the model that made it: another model cannot read its frames
    name: str = ""
    text: str = ""  # what the recording says, if that is known; frames and phones may end before it does
    sample_rate: int = 0  # Hz, of the codec that made the frames
    consent: str = ""  # the owner's leave, in the words of whoever made the voice
    transport: np.ndarray | None = None  # (D + 1, D) float32, from what is said in it to its reference (lm.likeness)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with everything in it. UserError where ``path`` cannot be written."""
        about = {name: getattr(self, name) for name in ("model", "name", "text", "consent")}
        about |= {"phones": " ".join(self.phones), "sample_rate": str(self.sample_rate)}
        about["format"] = VOICE_FORMATS[1 if self.transport is None else 2]
        tensors = {"frames": np.ascontiguousarray(self.frames), "starts": np.array(self.starts, np.int64)}
        if self.transport is not None:
            tensors["transport"] = np.ascontiguousarray(self.transport)
        write_whole(path, save(tensors, metadata=about))

    @classmethod
    def load(cls, path: str | Path) -> Voice:
        """Read what ``save`` of this version or of one before wrote; raises UserError for anything else."""
        try:
            with safe_open(path, "np") as file:
                about = file.metadata() or {}
                frames, starts = file.get_tensor("frames"), file.get_tensor("starts")
                transport = file.get_tensor("transport") if "transport" in file.keys() else None
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: not a voice file ({error}); make one with TTS.clone(...).save(path)") from None
        if about.get("format") not in VOICE_FORMATS or not {"phones", "model", "name"} <= about.keys():
            raise UserError(f"{path}: not a voice file of this version; make it again with TTS.clone(...).save(path)")
        phones, starts = tuple(about["phones"].split()), tuple(starts.flatten().tolist())
        rate = about.get("sample_rate", "0")
        sound = frames.ndim == 2 and np.isfinite(frames).all() and len(starts) == len(phones) and rate.isdecimal()
        if not sound or not _is_transport(transport, frames.shape[1]):
            raise UserError(f"{path}: a damaged voice file; make it again with TTS.clone(...).save(path)")
        more = {name: about.get(name, "") for name in ("model", "name", "text", "consent")}
        return cls(frames, phones, starts, sample_rate=int(rate), transport=transport, **more)

    def renamed(self, name: str) -> Voice:
        return replace(self, name=name)


def _is_transport(found: np.ndarray | None, width: int) -> bool:
    """Whether this can be the transport of a voice whose frames are ``width`` floats, or it has none."""
    return found is None or (found.shape == (width + 1, width) and bool(np.isfinite(found).all()))
