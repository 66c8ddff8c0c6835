"""Encoded clips on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from latent_tts.frames import FrameFormat


@dataclass(frozen=True)
class EncodedClip:
    """A clip as rows ``start`` to ``start + count`` of the pack's frames; onsets are frame numbers within it."""

    speaker: str
    start: int
    count: int
    phones: tuple[int, ...]
    starts: tuple[int, ...]


class FramePack:
    """Clips of one split: ``frames.npy``, ``clips.json``, and beside frames (M, D) of floats ``noise.npy`` (D,), the
    codec's noise, beside codes (M, Q) ``entries.npy`` (), how many there are of each."""

    def __init__(self, folder: Path):
        self.folder = folder = Path(folder)
        self.frames = np.load(folder / "frames.npy", mmap_mode="r")
        coded = np.issubdtype(self.frames.dtype, np.integer)
        self.noise = None if coded else np.load(folder / "noise.npy")
        entries = int(np.load(folder / "entries.npy")) if coded else 0
        self.frame_format = FrameFormat(self.frames.shape[1], entries)
        self.clips = [EncodedClip(*row) for row in json.loads((folder / "clips.json").read_text())]

    def frames_of(self, clip: EncodedClip) -> np.ndarray:
        """(N, D) float32 | (N, Q) int64."""
        kind = np.int64 if self.frame_format.entries else np.float32
        return self.frames[clip.start : clip.start + clip.count].astype(kind)

    def drawn(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Frames as the codec draws them in training: floats with one sigma's noise, as the sigma-VAE does; codes as
        they are."""
        if self.noise is None:
            return frames
        sigma = rng.standard_normal() * self.noise
        return (frames + sigma * rng.standard_normal(frames.shape)).astype(np.float32)


def write_frame_pack(
    folder: Path, frames: list[np.ndarray], clips: list[EncodedClip], noise: ArrayLike | None, entries: int = 0
) -> None:
    """Write a pack of floats with their ``noise`` (D,), or of codes, which have none, below ``entries``. ``clips.json``
    comes last, so a pack that has it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.min_scalar_type(entries - 1) if entries else np.float16
    np.save(folder / "frames.npy", np.concatenate(frames).astype(kind))
    if entries:
        np.save(folder / "entries.npy", entries)
    else:
        np.save(folder / "noise.npy", np.asarray(noise, np.float32))
    rows = [[c.speaker, c.start, c.count, c.phones, c.starts] for c in clips]
    beside = folder / "clips.json.part"
    beside.write_text(json.dumps(rows))
    os.replace(beside, folder / "clips.json")
