"""Stage 4a: find where each phone begins in every recording of an audio pack, with a trained aligner.

Leaves alignments.json beside the pack: {utt: {"phones": [...], "onsets": [seconds], "score": mean log posterior}}.
Recordings that do not fit their text are named and counted; texts whose recording is not in the pack are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import torch
from stage import progress, stage

from latent_tts.data.audio_pack import AudioPack
from latent_tts.errors import UserError
from latent_tts.model_dir import load_aligner


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", type=Path, required=True, help="audio pack with phones.json")
    parser.add_argument("--aligner", type=Path, required=True, help="model directory of the aligner")
    parser.add_argument("--min_score", type=float, default=-4.0, help="recordings below it are left out")
    options = parser.parse_args(argv)
    if (options.pack / "alignments.json").exists():
        return
    aligner, symbols = load_aligner(options.aligner)
    pack = AudioPack(options.pack, aligner.config.sample_rate)
    phones = json.loads((options.pack / "phones.json").read_text())
    heard, found, bad = {utt: ids for utt, ids in phones.items() if utt in pack.spans}, {}, 0
    for utt, ids in progress(heard.items(), desc=f"align {options.pack.name}", unit="utt"):
        try:
            onsets, score = aligner.align(torch.from_numpy(pack[utt]), ids)
        except UserError as error:
            bad += 1
            print(f"align: {utt}: {error}", file=sys.stderr)
            continue
        if score < options.min_score:
            bad += 1
            print(f"align: {utt}: score {score:.2f}; its text may be wrong", file=sys.stderr)
            continue
        names = [symbols.symbols[i] for i in ids]
        found[utt] = {"phones": names, "onsets": [round(float(t), 3) for t in onsets], "score": round(score, 3)}
    if not found:
        raise UserError(f"{options.pack}: none of {bad} recordings fits its text; train the aligner longer")
    beside = options.pack / "alignments.json.part"
    beside.write_text(json.dumps(found, ensure_ascii=False))
    os.replace(beside, options.pack / "alignments.json")
    without = len(phones) - len(heard)
    print(f"align: {options.pack}: {len(found)} aligned, {bad} left out, {without} without sound", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
