"""A frame pack as shards in Lhotse's Shar format: for training on corpora larger than one machine, or for other tools.

A folder of shards, or one that holds several such folders, may stand in for the frame pack `train` that a language
model learns from. lhotse.CutSet.from_shar reads them anywhere. Shards appear whole, and what is there is kept.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage import Clock, Part, add_parts, in_parts, progress, stage

from latent_tts.data.frame_pack import FramePack
from latent_tts.data.kaldi import read_table
from latent_tts.data.shar import SHARDS, finish_shards, shard_ranges, write_shard
from latent_tts.errors import UserError
from latent_tts.files import write_json
from latent_tts.model_dir import load_codec


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="frame pack")
    parser.add_argument("--codec", type=Path, required=True, help="model directory of its codec, for the frame rate")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--data_dir", type=Path, help="Kaldi data directory, for what is written of each recording")
    parser.add_argument("--shard_size", type=int, default=2000, help="clips in a shard; default: 2000")
    add_parts(parser)
    options = parser.parse_args(argv)

    def do(part: Part) -> None:
        pack, rate, ranges = opened(options)
        texts = read_table(options.data_dir / "text") if options.data_dir else {}
        mine, clock = part.share(range(len(ranges))), Clock()
        for number in progress(mine, f"export {options.pack.name}", "shard"):
            if not (options.out / f"cuts.{number:06d}.jsonl.gz").exists():
                write_shard(options.out, number, pack, ranges[number], rate, texts)
        if part.suffix:
            write_json(part.of(options.out / SHARDS), mine)
        else:
            finish_shards(options.out, pack, ranges, rate)
        frames = sum(pack.clips[i].count for number in mine for i in ranges[number])
        clock.summary("export_shar", f"{options.out}: {len(mine)} shards", frames / rate)

    def join(parts: list[Part]) -> None:
        pack, rate, ranges = opened(options)
        finish_shards(options.out, pack, ranges, rate)

    in_parts(options, options.out / SHARDS, do, join)


def opened(options: argparse.Namespace) -> tuple[FramePack, float, list[range]]:
    """The pack, its frame rate and the clips of each shard."""
    pack = FramePack(options.pack)
    if not all(clip.name for clip in pack.clips):
        raise UserError(f"{options.pack} was encoded by an older version, its clips lack names; encode it again")
    options.out.mkdir(parents=True, exist_ok=True)
    return pack, load_codec(options.codec).frame_rate, shard_ranges(len(pack.clips), options.shard_size)


if __name__ == "__main__":
    sys.exit(main())
