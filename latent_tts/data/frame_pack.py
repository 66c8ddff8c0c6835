"""Encoded clips on disk, and the batches of references and utterances that a language model learns from."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from latent_tts.frames import Utterances, stack
from latent_tts.text.symbols import PAUSE_MARKS, SymbolTable


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


class CloningBatches(Dataset):
    """Item ``step``: Utterances of about ``batch_frames`` frames, each a clip behind a reference of the same speaker.

    With probability ``no_reference`` a row has no reference, with ``no_reference_text`` its reference comes without
    text. A reference is cut at a random place between ``shortest`` and ``longest`` frames. A pause mark is another
    one with probability ``other_mark``, so that the rare ones are known too. Frames carry the codec's noise: one sigma
    a row, as the sigma-VAE draws it. A batch depends on ``seed`` and ``step`` alone.
    """

    shortest, longest = 16, 100  # frames of a reference
    no_reference, no_reference_text, other_mark = 0.1, 0.5, 0.2

    def __init__(self, folder: Path, batch_frames: int, steps: int, seed: int = 0):
        self.pack, self.steps, self.seed = FramePack(folder), steps, seed
        self.marks = SymbolTable.english().ids(PAUSE_MARKS)
        self.by_speaker: dict[str, list[int]] = {}
        for i, clip in enumerate(self.pack.clips):
            self.by_speaker.setdefault(clip.speaker, []).append(i)
        self.batches: list[list[int]] = [[]]
        for i in sorted(range(len(self.pack.clips)), key=lambda i: self.pack.clips[i].count):
            if self.batches[-1] and (self.pack.clips[i].count + 50) * (len(self.batches[-1]) + 1) > batch_frames:
                self.batches.append([])
            self.batches[-1].append(i)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Utterances:
        epoch, place = divmod(step, len(self.batches))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.batches))
        rng = np.random.default_rng((self.seed, epoch, place, 1))
        return stack([self._row(i, rng) for i in self.batches[order[place]]])

    def _row(self, index: int, rng: np.random.Generator) -> Utterances:
        clip = self.pack.clips[index]
        others = [i for i in self.by_speaker[clip.speaker] if i != index and self.pack.clips[i].count >= self.shortest]
        frames, phones, starts = self.pack.frames_of(clip), list(clip.phones), np.array(clip.starts)
        prompt, prompt_text = 0, 0
        if others and rng.random() >= self.no_reference:
            other = self.pack.clips[others[rng.integers(len(others))]]
            prompt = int(rng.integers(self.shortest, min(self.longest, other.count) + 1))
            frames = np.concatenate([self.pack.frames_of(other)[:prompt], frames])
            starts = starts + prompt
            if rng.random() >= self.no_reference_text:
                heard = [s for s in other.starts if s < prompt]
                prompt_text = len(heard)
                phones, starts = [*other.phones[:prompt_text], *phones], np.concatenate([heard, starts])
        phones = [rng.choice(self.marks) if p in self.marks and rng.random() < self.other_mark else p for p in phones]
        sigma = rng.standard_normal() * self.pack.noise
        frames = frames + sigma * rng.standard_normal(frames.shape)
        return Utterances(
            text=torch.tensor([phones]),
            text_lens=torch.tensor([len(phones)]),
            frames=torch.from_numpy(frames[None].astype(np.float32)),
            frame_lens=torch.tensor([len(frames)]),
            prompt_lens=torch.tensor([prompt]),
            prompt_text_lens=torch.tensor([prompt_text]),
            starts=torch.from_numpy(starts[None].astype(np.int64)),
        )
