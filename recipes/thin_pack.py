"""A part of a frame pack, for curves over the amount of data: the clips of every Nth recording, in C order.

Clips of one recording stay together, with all their copies as pseudo-speakers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stage import stage

from latent_tts.data.frame_pack import FramePack, laid_out, write_frame_pack
from latent_tts.errors import UserError


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="what recipes/encode.py has left")
    parser.add_argument("--every", type=int, required=True, help="1 keeps all, 2 half of the recordings")
    parser.add_argument("--out", type=Path, required=True, help="folder for the part; one that is there is kept")
    options = parser.parse_args(argv)
    if options.every < 1:
        raise UserError(f"--every {options.every}: want a number from 1 on")
    check_pack("--pack", options.pack)
    if (options.out / "clips.json").exists():
        return
    pack = FramePack(options.pack)
    wanted = set(sorted({clip.recording for clip in pack.clips})[:: options.every])
    clips, frames = laid_out((clip, pack.stored(clip)) for clip in pack.clips if clip.recording in wanted)
    write_frame_pack(options.out, frames, clips, pack.noise, pack.frame_format.entries)
    speakers, count = len({clip.speaker for clip in clips}), sum(clip.count for clip in clips)
    print(f"thin_pack: {options.out}: {count} frames of {len(wanted)} recordings, {speakers} voices", file=sys.stderr)


def check_pack(option: str, folder: Path) -> None:
    """UserError where ``folder``, which ``option`` names, holds no frame pack."""
    if not (folder / "clips.json").exists():
        raise UserError(f"{option}: no frame pack at '{folder}'; recipes/encode.py leaves one")


if __name__ == "__main__":
    sys.exit(main())
