"""Give a model's codec frames in which its decoder magnifies no direction much more than the others.

    recipes/level_frames.py --model MODEL --pack AUDIO_PACK --out OUT

A language model errs, and learns with noise, alike in all directions of a frame. One in which frames hardly move and of
which the decoder makes much is lost to it: the sound suffers, and the voice. A codec trained with noise has none; one
that got the frames of another (match_frames.py) may. The codec sounds as before. A language model in MODEL follows: it
sees what it saw, and must be trained further on the new frames before it says them (train.py lm --init OUT).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pack_model import latents_of, spread
from stage import stage

from latent_tts.codec.bottleneck import SigmaGaussian
from latent_tts.codec.rebase import level, loudness
from latent_tts.data.audio_pack import AudioPack
from latent_tts.errors import UserError
from latent_tts.lm.basis import follow
from latent_tts.lm.latent_lm import LatentLM
from latent_tts.model_dir import adopt, load_codec, load_lm, save_part
from latent_tts.text.symbols import SymbolTable


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model directory")
    parser.add_argument("--pack", type=Path, required=True, help="audio pack to measure the new frames on")
    parser.add_argument("--count", type=int, default=600, help="how many recordings of it; default: 600")
    parser.add_argument(
        "--loudest", type=float, default=2.0, help="how much a direction may be magnified; default: 2, as by training"
    )
    parser.add_argument("--out", type=Path, required=True, help="model directory")
    options = parser.parse_args(argv)
    codec = load_codec(options.model)
    if not isinstance(codec.bottleneck, SigmaGaussian):
        raise UserError(f"--model {options.model}: its frames are codes, which have no directions; nothing to level")
    lm = load_lm(options.model) if (options.model / "lm.safetensors").exists() else None
    if not isinstance(lm, LatentLM | None):
        raise UserError(f"--model {options.model}: its language model cannot follow; give a folder of its codec alone")
    pack = AudioPack(options.pack, codec.sample_rate)
    latents = latents_of(codec, pack, spread(pack, options.count))
    heard, _ = loudness(codec)
    change = level(codec, latents, options.loudest)
    save_part(options.out, "codec", codec)
    if lm is not None:
        follow(lm, *change)
        save_part(options.out, "lm", lm)
    adopt(options.model, options.out)
    SymbolTable.english().write(options.out / "phones.txt")
    print(
        f"level_frames: {int((heard > options.loudest).sum())} of {len(heard)} directions were magnified more than "
        f"{options.loudest:g} times, the loudest {heard[0]:.3g}; the middle one {heard.median():.3g}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
