"""Frame packs as shards in Lhotse's Shar format, and back.

A folder of shards holds ``cuts.*.jsonl.gz`` and ``frames.*.tar``, which ``lhotse.CutSet.from_shar`` reads like any
other, and ``shards.json``, which comes last: {"codec": {"frame_rate": Hz, "width": D | Q, "entries": how many codes
there are, 0 for floats, "noise": the codec's, (D,) or null}, "shards": [[clips, frames], ...]}. A cut is a clip. Its
custom temporal array ``frames`` are the codec's, its supervision has the speaker, the phones as text and as alignment
"phone" and, where it is given, the ``recording_text``. Neighbours in the pack, mostly of one speaker, share a shard.
https://lhotse.readthedocs.io/en/latest/api.html#lhotse-shar
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from latent_tts.data.frame_pack import EncodedClip, FramePack, laid_out, write_frame_pack
from latent_tts.errors import UserError
from latent_tts.files import write_whole
from latent_tts.frames import FrameFormat
from latent_tts.text.symbols import SymbolTable

SHARDS = "shards.json"


class Shards:
    """A folder of shards, or several below it as one: ``sizes`` (S, 2) clips and frames of each.

    UserError where there are none, or where they are of several codecs.
    """

    def __init__(self, folder: Path):
        folders = folders_of(folder)
        if not folders:
            raise UserError(f"{folder} holds no {SHARDS}, nor does a folder in it; recipes/export_shar.py leaves it")
        about = [json.loads((each / SHARDS).read_text()) for each in folders]
        codec = about[0]["codec"]
        for each, one in zip(folders, about):
            if one["codec"] != codec:
                raise UserError(f"{each} and {folders[0]} hold frames of two codecs; keep them apart")
        self.folder, self.frame_rate = Path(folder), codec["frame_rate"]
        self.frame_format = FrameFormat(codec["width"], codec["entries"])
        self.noise = None if codec["noise"] is None else np.array(codec["noise"], np.float32)
        self.sizes = np.array([size for one in about for size in one["shards"]]).reshape(-1, 2)
        self.places = [(each, number) for each, one in zip(folders, about) for number in range(len(one["shards"]))]

    def __len__(self) -> int:
        return len(self.places)

    def read(self, shard: int) -> Iterator[tuple[EncodedClip, np.ndarray]]:
        """The clips of a shard and their frames (N, D | Q), as stored. UserError where it holds fewer than it did."""
        from lhotse import CutSet

        folder, number = self.places[shard]
        fields = {"cuts": [folder / f"cuts.{number:06d}.jsonl.gz"], "frames": [folder / f"frames.{number:06d}.tar"]}
        count = 0
        for cut in CutSet.from_shar(fields=fields):
            count += 1
            yield clip_of(cut, self.frame_rate)
        if count != self.sizes[shard, 0]:
            raise UserError(f"{fields['cuts'][0]} holds {count} clips, not {self.sizes[shard, 0]}; export it again")


def folders_of(folder: Path) -> list[Path]:
    """``folder`` where it holds shards, or else those in it that do."""
    folder = Path(folder)
    return [folder] if (folder / SHARDS).exists() else sorted(path.parent for path in folder.glob(f"*/{SHARDS}"))


@cache
def _table() -> SymbolTable:
    """Read once, not for every clip."""
    return SymbolTable.english()


def clip_of(cut, frame_rate: float) -> tuple[EncodedClip, np.ndarray]:
    """A lhotse cut -> the clip and its frames (N, D | Q)."""
    spoken, frames = cut.supervisions[0], cut.load_custom("frames")
    items = spoken.alignment["phone"]
    phones = _table().ids([item.symbol for item in items])
    starts = tuple(round(item.start * frame_rate) for item in items)
    return EncodedClip(spoken.speaker, 0, len(frames), tuple(phones), starts, cut.id), frames


def cut_of(clip: EncodedClip, frames: np.ndarray, frame_rate: float, texts: Mapping[str, str]):
    """A clip, its frames (N, D | Q) and texts by recording -> a lhotse cut. A phone lasts until the next one begins."""
    from lhotse import MonoCut, SupervisionSegment
    from lhotse.supervision import AlignmentItem

    symbols, seconds = _table().symbols, len(frames) / frame_rate
    names = [symbols[i] for i in clip.phones]
    ends = (*clip.starts[1:], clip.count)
    items = [
        AlignmentItem(name, round(start / frame_rate, 6), round((end - start) / frame_rate, 6))
        for name, start, end in zip(names, clip.starts, ends)
    ]
    recording = clip.recording
    spoken = SupervisionSegment(
        *(clip.name, recording, 0, seconds), text=" ".join(names), speaker=clip.speaker, alignment={"phone": items}
    )
    if recording in texts:
        spoken.custom = {"recording_text": texts[recording]}
    cut = MonoCut(id=clip.name, start=0, duration=seconds, channel=0, supervisions=[spoken])
    return cut.attach_tensor("frames", frames, frame_shift=1 / frame_rate, temporal_dim=0)


def shard_ranges(clips: int, size: int) -> list[range]:
    """The clips of each shard: ``size`` of them, fewer in the last."""
    return [range(first, min(first + size, clips)) for first in range(0, clips, size)]


def write_shard(
    folder: Path,
    number: int,
    pack: FramePack,
    chosen: Iterable[int],
    frame_rate: float,
    texts: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """One shard of the ``chosen`` clips of a pack; its two files appear whole, the cuts last. ``texts`` says what is
    written of each recording; a clip may be a part of that."""
    from lhotse.shar import SharWriter

    beside = folder / f".shard{number:06d}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    with SharWriter(beside, fields={"frames": "numpy"}, shard_size=None) as writer:
        for clip in (pack.clips[i] for i in chosen):
            writer.write(cut_of(clip, pack.stored(clip), frame_rate, texts))
    (beside / "frames.tar").replace(folder / f"frames.{number:06d}.tar")
    (beside / "cuts.jsonl.gz").replace(folder / f"cuts.{number:06d}.jsonl.gz")
    beside.rmdir()


def finish_shards(folder: Path, pack: FramePack, ranges: Sequence[range], frame_rate: float) -> None:
    """The index of shards that are all written. UserError where one is missing."""
    for number in range(len(ranges)):
        if not (folder / f"cuts.{number:06d}.jsonl.gz").exists():
            raise UserError(f"{folder}: shard {number} of {len(ranges)} is missing; export it")
    counts = np.array([clip.count for clip in pack.clips])
    sizes = [[len(chosen), int(counts[chosen.start : chosen.stop].sum())] for chosen in ranges]
    codec = {"frame_rate": frame_rate, **pack.frame_format._asdict()}
    codec["noise"] = None if pack.noise is None else pack.noise.tolist()
    write_whole(folder / SHARDS, json.dumps({"codec": codec, "shards": sizes}).encode())


def pack_of(shards: Shards, numbers: Iterable[int]) -> FramePack:
    """Some shards as a pack in memory, its clips in C order."""
    clips, frames = laid_out(pair for number in numbers for pair in shards.read(number))
    return FramePack.of(shards.folder, np.concatenate(frames), clips, shards.noise, shards.frame_format.entries)


def unpack(shards: Shards, folder: Path) -> None:
    """All shards as the frame pack they came from."""
    pack = pack_of(shards, range(len(shards)))
    write_frame_pack(folder, [pack.frames], pack.clips, pack.noise, pack.frame_format.entries)
