"""A split's recordings, decoded once and laid end to end as 16-bit samples that are mapped, not read, into memory."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset
from tqdm import tqdm

from latent_tts import audio
from latent_tts.data.kaldi import read_data_dir


class AudioPack:
    """Recordings of one data directory at one rate: ``pack[utt]`` is float32 (T,) in [-1, 1]."""

    def __init__(self, folder: Path):
        index = json.loads((Path(folder) / "index.json").read_text())
        self.sample_rate: int = index["sample_rate"]
        self.spans: dict[str, tuple[int, int]] = {utt: tuple(span) for utt, span in index["spans"].items()}
        self.samples = np.load(Path(folder) / "samples.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.spans)

    def __iter__(self) -> Iterator[str]:
        return iter(self.spans)

    def __getitem__(self, utt: str) -> np.ndarray:
        start, length = self.spans[utt]
        return self.samples[start : start + length].astype(np.float32) / 32768


def pack_audio(data_dir: Path, folder: Path, sample_rate: int) -> AudioPack:
    """Decode every recording of ``data_dir`` into ``folder``, its ends trimmed and its level set as a reference's are.

    A recording longer than a minute keeps its first minute. Done once: an existing pack is opened as it is.
    """
    folder = Path(folder)
    if not (folder / "index.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        spans, pieces, position = {}, [], 0
        entries = read_data_dir(data_dir)
        for entry in tqdm(entries, desc=f"decode {folder.name}", unit="utt", disable=not sys.stderr.isatty()):
            wav = audio.condition_reference(*audio.read(entry.path, sample_rate))
            pieces.append((wav.clip(-1, 1) * 32767).astype(np.int16))
            spans[entry.utt] = (position, len(wav))
            position += len(wav)
        np.save(folder / "samples.npy", np.concatenate(pieces))
        beside = folder / "index.json.part"
        beside.write_text(json.dumps({"sample_rate": sample_rate, "spans": spans}))
        os.replace(beside, folder / "index.json")
    return AudioPack(folder)


class CropBatches(Dataset):
    """Item ``step`` is the batch of training step ``step``: (B, 1, samples) random crops at random gains.

    It depends on ``seed`` and ``step`` alone, so a resumed run sees what the unbroken one would have seen.
    """

    def __init__(self, pack: AudioPack, batch_size: int, samples: int, steps: int, seed: int = 0):
        self.pack, self.batch_size, self.samples, self.steps, self.seed = pack, batch_size, samples, steps, seed
        self.utts = list(pack)
        lengths = np.array([pack.spans[utt][1] for utt in self.utts], dtype=np.float64)
        self.weights = lengths / lengths.sum()

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, step))
        return np.stack([self._crop(rng) for _ in range(self.batch_size)])

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        """(1, samples); a silent place is drawn again, a short recording is padded."""
        for _ in range(8):
            wav = self.pack[self.utts[rng.choice(len(self.utts), p=self.weights)]]
            start = rng.integers(0, max(1, len(wav) - self.samples))
            crop = wav[start : start + self.samples]
            level = np.sqrt(np.mean(crop**2))
            if level > 1e-3:
                break
        crop = np.pad(crop, (0, self.samples - len(crop)))
        target = 10 ** (rng.uniform(-32, -16) / 20)
        gain = min(target / max(level, 1e-4), 0.99 / max(np.abs(crop).max(), 1e-4))
        return (crop * gain)[None].astype(np.float32)
