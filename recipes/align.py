"""Stage 4a: find where each phone begins in every recording of an audio pack, with a trained aligner.

Leaves alignments.json beside the pack: {utt: {"phones": [...], "onsets": [seconds], "score": mean log posterior}}.
Recordings that do not fit their text are named and counted; texts whose recording is not in the pack are counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from stage import Clock, Part, add_parts, in_parts, joined, progress, stage

from latent_tts.data.audio_pack import AudioPack
from latent_tts.errors import UserError
from latent_tts.files import write_whole
from latent_tts.model_dir import load_aligner


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="audio pack with phones.json")
    parser.add_argument("--aligner", type=Path, required=True, help="model directory of the aligner")
    parser.add_argument("--min_score", type=float, default=-4.0, help="recordings below it are left out")
    add_parts(parser)
    options = parser.parse_args(argv)
    left = options.pack / "alignments.json"

    def do(part: Part) -> None:
        leave(aligned(options, part), part)

    def join(parts: list[Part]) -> None:
        leave(joined([part.of(left) for part in parts]), Part())

    def leave(found: dict, part: Part) -> None:
        if not found and not part.suffix:
            raise UserError(f"{options.pack}: none of its recordings fits its text; train the aligner longer")
        write_whole(part.of(left), json.dumps(found, ensure_ascii=False).encode())

    in_parts(options, left, do, join)


def aligned(options: argparse.Namespace, part: Part) -> dict[str, dict]:
    """The alignments of a part's recordings."""
    aligner, symbols = load_aligner(options.aligner)
    pack = AudioPack(options.pack, aligner.config.sample_rate)
    phones = json.loads((options.pack / "phones.json").read_text())
    heard = {utt: phones[utt] for utt in part.share(sorted(phones)) if utt in pack.spans}
    found, clock = {}, Clock()
    for utt, ids in progress(heard.items(), desc=f"align {options.pack.name}", unit="utt"):
        try:
            onsets, score = aligner.align(torch.from_numpy(pack[utt]), ids)
        except UserError as error:
            print(f"align: {utt}: {error}", file=sys.stderr)
            continue
        if score < options.min_score:
            print(f"align: {utt}: score {score:.2f}; its text may be wrong", file=sys.stderr)
            continue
        names = [symbols.symbols[i] for i in ids]
        found[utt] = {"phones": names, "onsets": [round(float(t), 3) for t in onsets], "score": round(score, 3)}
    without = len(part.share(phones)) - len(heard)
    what = f"{options.pack}: {len(found)} aligned, {len(heard) - len(found)} left out, {without} without sound"
    clock.summary("align", what, sum(map(pack.seconds, heard)))
    return found


if __name__ == "__main__":
    sys.exit(main())
