"""Encoded clips on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from latent_tts.data.row_file import RowFile
from latent_tts.files import write_whole
from latent_tts.frames import FrameFormat


@dataclass(frozen=True)
class EncodedClip:
    """A clip as rows ``start`` to ``start + count`` of the pack's frames; onsets are frame numbers within it."""

    speaker: str
    start: int
    count: int
    phones: tuple[int, ...]
    starts: tuple[int, ...]
    name: str = ""  # its own in the pack, and begins with the recording's

    @property
    def recording(self) -> str:
        """What it was cut from, as recipes/encode.py names clips."""
        return self.name.rpartition("@")[0] or self.name


class FramePack:
    """Clips of one split: ``frames.npy``, ``clips.json``, and beside frames (M, D) of floats ``noise.npy`` (D,), the
    codec's noise, beside codes (M, Q) ``entries.npy`` (), how many there are of each.

    ``suffix`` names a part of a pack that is not joined yet.
    """

    def __init__(self, folder: Path, suffix: str = ""):
        self.folder = folder = Path(folder)
        self.frames = np.load(folder / f"frames.npy{suffix}", mmap_mode="r")
        coded = np.issubdtype(self.frames.dtype, np.integer)
        self.noise = None if coded else np.load(folder / f"noise.npy{suffix}")
        entries = int(np.load(folder / f"entries.npy{suffix}")) if coded else 0
        self.frame_format = FrameFormat(self.frames.shape[-1], entries)
        self.clips = [EncodedClip(*row) for row in json.loads((folder / f"clips.json{suffix}").read_text())]

    @classmethod
    def of(
        cls, folder: Path, frames: np.ndarray, clips: list[EncodedClip], noise: np.ndarray | None, entries: int
    ) -> FramePack:
        """A pack in memory, read from ``folder``: ``frames`` (M, D) float16 with their ``noise`` (D,), or codes (M, Q)
        below ``entries``."""
        pack = cls.__new__(cls)
        pack.folder, pack.frames, pack.clips, pack.noise = folder, frames, clips, noise
        pack.frame_format = FrameFormat(frames.shape[-1], entries)
        return pack

    def stored(self, clip: EncodedClip) -> np.ndarray:
        """(N, D) float16 | (N, Q) unsigned, as they are on disk."""
        return self.frames[clip.start : clip.start + clip.count]

    def frames_of(self, clip: EncodedClip) -> np.ndarray:
        """(N, D) float32 | (N, Q) int64."""
        return self.stored(clip).astype(np.int64 if self.frame_format.entries else np.float32)

    def drawn(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Frames as the codec draws them in training: floats with one sigma's noise, as the sigma-VAE does; codes as
        they are."""
        if self.noise is None:
            return frames
        sigma = rng.standard_normal() * self.noise
        return (frames + sigma * rng.standard_normal(frames.shape)).astype(np.float32)


def write_frame_pack(
    folder: Path,
    frames: Iterable[np.ndarray],
    clips: list[EncodedClip],
    noise: ArrayLike | None,
    entries: int = 0,
    suffix: str = "",
) -> None:
    """Write a pack of floats with their ``noise`` (D,), or of codes, which have none, below ``entries``, for clips that
    lie end to end in ``frames`` (n, D | Q). ``clips.json`` comes last, so a pack that has it is whole. ``suffix`` makes
    it a part, which may be empty, for ``join_frame_packs``."""
    kind = np.min_scalar_type(entries - 1) if entries else np.float16
    with RowFile(folder / f"frames.npy{suffix}", kind) as file:
        for piece in frames:
            file.append(piece)
    if entries:
        with open(folder / f"entries.npy{suffix}", "wb") as file:
            np.save(file, entries)
    else:
        with RowFile(folder / f"noise.npy{suffix}", np.float32) as file:
            file.append(np.asarray(noise))
    write_whole(folder / f"clips.json{suffix}", json.dumps([astuple(clip) for clip in clips]).encode())


def laid_out(clips: Iterable[tuple[EncodedClip, np.ndarray]]) -> tuple[list[EncodedClip], list[np.ndarray]]:
    """Clips and their frames (n, D | Q) as a pack has them: in C order of their names, end to end."""
    placed, frames, position = [], [], 0
    for clip, encoded in sorted(clips, key=lambda pair: pair[0].name):
        placed.append(replace(clip, start=position))
        frames.append(encoded)
        position += clip.count
    return placed, frames


def join_frame_packs(folder: Path, suffixes: list[str]) -> None:
    """One pack of the parts with these suffixes: what one process would have written."""
    parts = [FramePack(folder, suffix) for suffix in suffixes]
    clips, frames = laid_out((clip, part.stored(clip)) for part in parts for clip in part.clips)
    write_frame_pack(folder, frames, clips, parts[0].noise, parts[0].frame_format.entries)
