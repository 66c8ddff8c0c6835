"""A split's recordings, decoded once and laid end to end as 16-bit samples that are mapped, not read, into memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from latent_tts import audio
from latent_tts.data.kaldi import Entry, read_data_dir
from latent_tts.data.row_file import RowFile
from latent_tts.data.step_batches import StepBatches, dealt
from latent_tts.errors import UserError
from latent_tts.files import write_whole


class AudioPack:
    """Recordings of one data directory at one rate: ``pack[utt]`` is float32 (T,) in [-1, 1].

    UserError where that is not ``sample_rate``, the rate of the model that is to hear them. ``suffix`` names a part of
    a pack that is not joined yet.
    """

    def __init__(self, folder: Path, sample_rate: int | None = None, suffix: str = ""):
        self.folder = Path(folder)
        index = json.loads((self.folder / f"index.json{suffix}").read_text())
        self.sample_rate: int = index["sample_rate"]
        if sample_rate not in (None, self.sample_rate):
            raise UserError(
                f"{folder} holds sound at {self.sample_rate} Hz and the model hears {sample_rate}; "
                "set its sample_rate, or pack the recordings at that rate into another folder"
            )
        self.spans: dict[str, tuple[int, int]] = {utt: tuple(span) for utt, span in index["spans"].items()}
        self.bad: int = index.get("bad", 0)  # recordings that were left out
        self.samples = np.load(self.folder / f"samples.npy{suffix}", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.spans)

    def __iter__(self) -> Iterator[str]:
        return iter(self.spans)

    def __getitem__(self, utt: str) -> np.ndarray:
        return self.raw(utt).astype(np.float32) / 32768

    def raw(self, utt: str) -> np.ndarray:
        """(T,) int16, mapped."""
        start, length = self.spans[utt]
        return self.samples[start : start + length]

    def seconds(self, utt: str) -> float:
        return self.spans[utt][1] / self.sample_rate


def pack_audio(data_dir: Path, folder: Path, sample_rate: int, max_bad: float = 0.05) -> AudioPack:
    """Decode every recording of ``data_dir`` into ``folder``, its ends trimmed and its level set as a reference's are.

    A recording longer than a minute keeps its first minute. One that cannot be read, holds NaN or infinite samples or
    is silent throughout is named on stderr, left out and counted; more than a share of ``max_bad`` of them is a
    UserError. Done once: an existing pack is opened as it is. A pack may be larger than memory.
    """
    folder = Path(folder)
    if not (folder / "index.json").exists():
        pack_entries(read_data_dir(data_dir), folder, sample_rate, max_bad)
    return AudioPack(folder)


def pack_entries(
    entries: Iterable[Entry], folder: Path, sample_rate: int, max_bad: float = 0.05, suffix: str = ""
) -> None:
    """The same for entries in C order. ``suffix`` makes it a part, which may be empty, for ``join_packs``."""

    def recordings() -> Iterator[tuple[str, np.ndarray | None]]:
        for entry in entries:
            try:
                yield entry.utt, _decoded(entry, sample_rate)
            except UserError as error:
                print(f"bad {entry.utt}: {error}", file=sys.stderr)
                yield entry.utt, None

    _write(recordings(), folder, sample_rate, max_bad, suffix)


def join_packs(folder: Path, suffixes: list[str], max_bad: float = 0.05) -> None:
    """One pack of the parts with these suffixes, in C order: what ``pack_entries`` makes of all their entries."""
    parts = [AudioPack(folder, suffix=suffix) for suffix in suffixes]
    owners = {utt: part for part in parts for utt in part}
    bad = (("", None) for part in parts for _ in range(part.bad))
    recordings = chain(((utt, owners[utt].raw(utt)) for utt in sorted(owners)), bad)
    _write(recordings, folder, parts[0].sample_rate, max_bad, "")


def _write(
    recordings: Iterable[tuple[str, np.ndarray | None]], folder: Path, sample_rate: int, max_bad: float, suffix: str
) -> None:
    """Write (utt, int16 (T,)) end to end, None is a bad one; the index comes last."""
    spans, bad = {}, 0
    with RowFile(folder / f"samples.npy{suffix}", np.int16) as file:
        for utt, samples in recordings:
            if samples is None:
                bad += 1
                continue
            spans[utt] = (file.rows, len(samples))
            file.append(samples)
        count = len(spans) + bad
        print(f"{folder}: {count} recordings, {bad} bad ones left out", file=sys.stderr)
        if not suffix and (not spans or bad > max_bad * count):
            raise UserError(
                f"{folder}: {bad} of {count} recordings are bad (more than {max_bad:.0%}); see the list above, "
                "put them right or take them out of the corpus"
            )
    content = {"sample_rate": sample_rate, "spans": spans, "bad": bad}
    write_whole(folder / f"index.json{suffix}", json.dumps(content).encode())


def _decoded(entry: Entry, sample_rate: int) -> np.ndarray:
    """A recording as int16 (T,). UserError where it cannot be used."""
    wav = audio.condition_reference(*entry.read(sample_rate))
    if audio.frame_levels(wav, sample_rate).max() < audio.SILENCE_DBFS:
        raise UserError(f"{entry.path} is silent (all of it under {audio.SILENCE_DBFS:g} dBFS)")
    return (wav.clip(-1, 1) * 32767).astype(np.int16)


class CropBatches(StepBatches):
    """Item ``step`` is the batch of training step ``step``: (B, 1, samples) random crops at random gains.

    Half of them are played at a random ``tempo``, which moves pitch, formants and rate alike: more voices. A batch
    depends on ``seed`` and ``step`` alone, so a resumed run sees what the unbroken one would have seen. ``skipped``
    counts the silent places met so far in this process, in whose stead others were taken. UserError where no place has
    sound.
    """

    tempo = (0.85, 1.18)
    tries, quietest = 8, 1e-3  # places drawn before the loudest are looked for; rms of a crop with sound

    def __init__(self, pack: AudioPack, batch_size: int, samples: int, steps: int, seed: int = 0):
        self.pack, self.batch_size, self.samples, self.steps, self.seed = pack, batch_size, samples, steps, seed
        self.skipped = 0
        self.utts = list(pack)
        lengths = np.array([pack.spans[utt][1] for utt in self.utts], dtype=np.float64)
        self.weights = lengths / lengths.sum()

    def share(self, step: int, rank: int, world: int) -> np.ndarray:
        rows = dealt(range(self.batch_size), rank, world)
        return np.stack([self._crop(np.random.default_rng((self.seed, step, row, 1))) for row in rows])

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        """(1, samples); a short recording is padded."""
        length = round(self.samples * (rng.uniform(*self.tempo) if rng.random() < 0.5 else 1))
        for crop in self._places(rng, length):
            level = np.sqrt(np.mean(crop**2))
            if level > self.quietest:
                break
            self.skipped += 1
        else:
            raise UserError(f"{self.pack.folder} holds silence alone; remove it and pack recordings with sound")
        crop = audio.resample(np.pad(crop, (0, length - len(crop))), length, self.samples)[: self.samples]
        crop = np.pad(crop, (0, self.samples - len(crop)))
        target = 10 ** (rng.uniform(-32, -16) / 20)
        gain = min(target / level, 0.99 / np.abs(crop).max())
        return (crop * gain)[None].astype(np.float32)

    def _places(self, rng: np.random.Generator, length: int) -> Iterator[np.ndarray]:
        """Random places (up to length,), and when these are used up the loudest place of every recording."""
        for _ in range(self.tries):
            wav = self.pack[self.utts[rng.choice(len(self.utts), p=self.weights)]]
            start = rng.integers(0, max(1, len(wav) - length))
            yield wav[start : start + length]
        for utt in rng.permutation(self.utts):
            wav = self.pack[utt]
            start = max(0, min(int(np.abs(wav).argmax()) - length // 2, len(wav) - length))
            yield wav[start : start + length]
