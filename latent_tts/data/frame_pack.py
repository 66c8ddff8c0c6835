"""Encoded clips on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class EncodedClip:
    """A clip as rows ``start`` to ``start + count`` of the pack's frames; onsets are frame numbers within it."""

    speaker: str
    start: int
    count: int
    phones: tuple[int, ...]
    starts: tuple[int, ...]


class FramePack:
    """Clips of one split: ``frames.npy`` (M, D) float16, ``clips.json``, ``noise.npy`` (D,) the codec's noise."""

    def __init__(self, folder: Path):
        folder = Path(folder)
        self.frames = np.load(folder / "frames.npy", mmap_mode="r")
        self.noise = np.load(folder / "noise.npy")
        self.clips = [EncodedClip(*row) for row in json.loads((folder / "clips.json").read_text())]

    def frames_of(self, clip: EncodedClip) -> np.ndarray:
        return self.frames[clip.start : clip.start + clip.count].astype(np.float32)


def write_frame_pack(folder: Path, frames: list[np.ndarray], clips: list[EncodedClip], noise: np.ndarray) -> None:
    """Write a pack; ``clips.json`` comes last, so a pack that has it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "frames.npy", np.concatenate(frames).astype(np.float16))
    np.save(folder / "noise.npy", noise.astype(np.float32))
    rows = [[c.speaker, c.start, c.count, c.phones, c.starts] for c in clips]
    beside = folder / "clips.json.part"
    beside.write_text(json.dumps(rows))
    os.replace(beside, folder / "clips.json")
