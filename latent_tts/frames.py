"""What the rooms of the house exchange: batches of utterances, chunks of frames, voices, and how to sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from latent_tts.errors import UserError


@dataclass(frozen=True)
class Utterances:
    """A training batch; also a prompt, whose frames stop where generation begins.

    Each row is a reference (maybe empty, maybe without text) and then the utterance. ``starts`` says in which frame a
    phone begins; it is known for every phone in training, and for the reference's phones in a prompt.
    """

    text: Tensor  # (B, L) int64, 0 = pad: the reference's phones, then the utterance's
    text_lens: Tensor  # (B,) int64
    frames: Tensor  # (B, N, D) float | (B, N, Q) int64: the reference's frames, then the utterance's
    frame_lens: Tensor  # (B,) int64
    prompt_lens: Tensor  # (B,) int64: frames of the reference
    prompt_text_lens: Tensor  # (B,) int64: phones of the reference, 0 where its text is unknown
    starts: Tensor  # (B, L) int64: frame in which each phone begins

    def to(self, device: torch.device | str) -> Utterances:
        return Utterances(*(getattr(self, field.name).to(device) for field in fields(self)))

    def __len__(self) -> int:
        return len(self.text)


def stack(rows: list[Utterances]) -> Utterances:
    """Join batches into one, padding phones and frames on the right."""

    def pad(tensors: list[Tensor]) -> Tensor:
        if tensors[0].ndim == 1:
            return torch.cat(tensors)
        width = max(t.shape[1] for t in tensors)
        return torch.cat(
            [torch.cat([t, t.new_zeros(len(t), width - t.shape[1], *t.shape[2:])], dim=1) for t in tensors]
        )

    return Utterances(*(pad([getattr(row, field.name) for row in rows]) for field in fields(Utterances)))


@dataclass(frozen=True)
class Sampling:
    """How to draw: the same values give the same sound.

    ``steps`` of the head's solver, ``guidance`` (1 = none) towards the condition, ``temperature`` of the frames'
    noise, ``duration_temperature`` of the phones' lengths, ``speed`` (2 = twice as fast), ``seed`` of all noise. The
    lengths of phones and the speed are those of a pointer.
    """

    seed: int = 0
    steps: int = 10
    guidance: float = 1.5
    temperature: float = 0.6
    duration_temperature: float = 0.7
    speed: float = 1.0

    def __post_init__(self):
        limits = {
            "seed": (0, 2**63 - 1),
            "steps": (1, 1000),
            "guidance": (0, 20),
            "temperature": (0, 2),
            "duration_temperature": (0, 2),
            "speed": (0.25, 4),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name} is {getattr(self, name)}; choose a value from {low} to {high}")


class FrameFormat(NamedTuple):
    """What a frame is: ``width`` floats or, where there are ``entries``, ``width`` codes, each below ``entries``."""

    width: int
    entries: int = 0

    def __str__(self) -> str:
        return f"{self.width} codes of {self.entries}" if self.entries else f"{self.width} floats"


class Chunk(NamedTuple):
    """Frames that a model has just made."""

    frames: Tensor  # (B, n, D | Q)
    alive: Tensor  # (B, n) bool, False once a row has stopped
    phones: Tensor  # (B, n) int64, the utterance's phones that have begun by the end of each frame; -1: not known


class FrameLM(Protocol):
    """What every language model of frames is: a loss over utterances and a generator of chunks."""

    frame_format: FrameFormat

    def loss(self, batch: Utterances) -> dict[str, Tensor]:
        """Named scalars; "loss" is their weighted sum."""
        ...

    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """Chunks until every row has stopped. Every row draws from a generator of its own, seeded alike, so that a row
        sounds the same alone and in a batch."""
        ...


@dataclass(frozen=True)
class Voice:
    """A cloned voice: the reference's frames and, where its text is known, its phones and where they begin."""

    frames: Tensor  # (N, D) float32 | (N, Q) int64
    phones: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()
    model: str = ""  # hash of the model that made it: another model cannot read its frames
    name: str = ""

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with everything in it. UserError where ``path`` cannot be written."""
        about = {
            "format": "latent_tts voice 1",
            "phones": " ".join(self.phones),
            "model": self.model,
            "name": self.name,
        }
        starts = torch.tensor(self.starts, dtype=torch.int64)
        beside = Path(f"{path}.part")
        try:
            beside.write_bytes(save({"frames": self.frames.contiguous(), "starts": starts}, metadata=about))
            beside.replace(path)
        except OSError as error:
            raise UserError(f"cannot write the voice {path}: {error.strerror}; choose a folder you can write") from None

    @classmethod
    def load(cls, path: str | Path) -> Voice:
        """Read what ``save`` wrote; raises UserError for anything else."""
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                frames, starts = file.get_tensor("frames"), file.get_tensor("starts")
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path}: not a voice file ({error}); make one with TTS.clone(...).save(path)") from None
        if about.get("format") != "latent_tts voice 1" or not {"phones", "model", "name"} <= about.keys():
            raise UserError(f"{path}: not a voice file of this version; make it again with TTS.clone(...).save(path)")
        phones = tuple(about["phones"].split(" ")) if about["phones"] else ()
        return cls(frames, phones, tuple(starts.tolist()), about["model"], about["name"])

    def renamed(self, name: str) -> Voice:
        return replace(self, name=name)
