"""Several frame packs of one codec as one, such as recordings in many voices and synthetic speech in few.

recipes/encode.py numbers the copies of a call from 0; here copy C of a speaker in pack K is ``speaker@K.C``, so that
two packs may hold other copies of one recording.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from stage import stage
from thin_pack import check_pack

from latent_tts.data.frame_pack import EncodedClip, FramePack, laid_out, write_frame_pack
from latent_tts.errors import UserError


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packs", type=Path, nargs="+", required=True, help="what recipes/encode.py has left, each")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pack of all; one that is there is kept")
    options = parser.parse_args(argv)
    for folder in options.packs:
        check_pack("--packs", folder)
    if (options.out / "clips.json").exists():
        return
    packs = [FramePack(folder) for folder in options.packs]
    for pack in packs[1:]:
        if pack.frame_format != packs[0].frame_format or not np.array_equal(pack.noise, packs[0].noise):
            raise UserError(f"--packs: '{packs[0].folder}' and '{pack.folder}' are of two codecs; encode anew")
    clips, frames = laid_out(renamed(packs))
    write_frame_pack(options.out, frames, clips, packs[0].noise, packs[0].frame_format.entries)
    count, speakers = sum(clip.count for clip in clips), len({clip.speaker for clip in clips})
    print(f"join_frames: {options.out}: {count} frames of {len(packs)} packs, {speakers} voices", file=sys.stderr)


def renamed(packs: list[FramePack]) -> Iterator[tuple[EncodedClip, np.ndarray]]:
    """All clips, with names and speakers that say which pack they are of."""
    for number, pack in enumerate(packs):
        for clip in pack.clips:
            speaker, name = (text.replace("@", f"@{number}.") for text in (clip.speaker, clip.name))
            yield replace(clip, speaker=speaker, name=name), pack.stored(clip)


if __name__ == "__main__":
    sys.exit(main())
