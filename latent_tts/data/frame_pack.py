"""Encoded clips on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from latent_tts.data.row_file import RowFile
from latent_tts.files import write_whole


@dataclass(frozen=True)
class EncodedClip:
    """A clip as rows ``start`` to ``start + count`` of the pack's frames; onsets are frame numbers within it."""

    speaker: str
    start: int
    count: int
    phones: tuple[int, ...]
    starts: tuple[int, ...]
    name: str = ""  # its own in the pack, and begins with the recording's


class FramePack:
    """Clips of one split: ``frames.npy`` (M, D) float16, ``clips.json``, ``noise.npy`` (D,) the codec's noise.

    ``suffix`` names a part of a pack that is not joined yet.
    """

    def __init__(self, folder: Path, suffix: str = ""):
        folder = Path(folder)
        self.frames = np.load(folder / f"frames.npy{suffix}", mmap_mode="r")
        self.noise = np.load(folder / f"noise.npy{suffix}")
        self.clips = [EncodedClip(*row) for row in json.loads((folder / f"clips.json{suffix}").read_text())]

    @classmethod
    def of(cls, frames: np.ndarray, clips: list[EncodedClip], noise: np.ndarray) -> FramePack:
        """A pack in memory: ``frames`` (M, D) float16."""
        pack = cls.__new__(cls)
        pack.frames, pack.clips, pack.noise = frames, clips, noise
        return pack

    def frames_of(self, clip: EncodedClip) -> np.ndarray:
        return self.frames[clip.start : clip.start + clip.count].astype(np.float32)


def write_frame_pack(
    folder: Path, frames: Iterable[np.ndarray], clips: list[EncodedClip], noise: np.ndarray, suffix: str = ""
) -> None:
    """Write a pack of clips that lie end to end in ``frames`` (n, D); ``clips.json`` comes last, so a pack that has it
    is whole. ``suffix`` makes it a part for ``join_frame_packs``."""
    with RowFile(folder / f"frames.npy{suffix}", np.float16) as file:
        for piece in frames:
            file.append(piece)
    with RowFile(folder / f"noise.npy{suffix}", np.float32) as file:
        file.append(noise)
    write_whole(folder / f"clips.json{suffix}", json.dumps([astuple(clip) for clip in clips]).encode())


def laid_out(clips: Iterable[tuple[EncodedClip, np.ndarray]]) -> tuple[list[EncodedClip], list[np.ndarray]]:
    """Clips and their frames (n, D) as a pack has them: in C order of their names, end to end."""
    placed, frames, position = [], [], 0
    for clip, encoded in sorted(clips, key=lambda pair: pair[0].name):
        placed.append(replace(clip, start=position))
        frames.append(encoded)
        position += clip.count
    return placed, frames


def join_frame_packs(folder: Path, suffixes: list[str]) -> None:
    """One pack of the parts with these suffixes: what one process would have written."""
    parts = [FramePack(folder, suffix) for suffix in suffixes]
    noise = parts[0].noise
    clips, frames = laid_out((clip, part.frames[clip.start :][: clip.count]) for part in parts for clip in part.clips)
    write_frame_pack(folder, frames, clips, noise)
