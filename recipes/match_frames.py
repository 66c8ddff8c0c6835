"""Give a codec that was trained further the frames of the codec it came from, as nearly as a linear map can.

A language model that learnt from the frames of --like then speaks through the new codec, or is trained further on its
frames, with less to relearn. The codec sounds as before: only the basis of its latents changes. Prints how far the
frames of held-out recordings lie apart before and after, beside the noise that the language model learnt with; and how
much the decoder magnifies its latents. Where the loudest direction is far above the middle one, frames hardly move in
it and a language model loses it: level_frames.py mends that, at the price of frames that have to be learnt.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from pack_model import latents_of, spread
from stage import stage

from latent_tts.codec.autoencoder import Codec
from latent_tts.codec.bottleneck import SigmaGaussian
from latent_tts.codec.rebase import affine_fit, loudness, rebase
from latent_tts.data.audio_pack import AudioPack
from latent_tts.errors import UserError
from latent_tts.model_dir import load_codec, save_part
from latent_tts.text.symbols import SymbolTable


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", type=Path, required=True, help="model directory of the codec")
    parser.add_argument("--like", type=Path, required=True, help="model directory of the one whose frames are wanted")
    parser.add_argument("--pack", type=Path, required=True, help="audio pack to fit on, every fifth recording held out")
    parser.add_argument("--count", type=int, default=200, help="how many recordings of it")
    parser.add_argument("--out", type=Path, required=True, help="model directory")
    options = parser.parse_args(argv)
    codec, like = load_codec(options.codec), load_codec(options.like)
    check(codec, like)
    pack = AudioPack(options.pack, codec.sample_rate)
    utts = spread(pack, options.count)
    held, fitted = utts[::5], [utt for number, utt in enumerate(utts) if number % 5]
    matrix, offset = affine_fit(frames_of(codec, pack, fitted), frames_of(like, pack, fitted))
    wanted, before = frames_of(like, pack, held), frames_of(codec, pack, held)
    rebase(codec, like, matrix, offset)
    after, noise = frames_of(codec, pack, held), like.bottleneck.noise
    apart = [float((frames - wanted).square().mean()) for frames in (before, after)]
    heard, _ = loudness(codec)
    save_part(options.out, "codec", codec)
    SymbolTable.english().write(options.out / "phones.txt")
    print(
        f"match_frames: {len(held)} recordings held out: mean squared distance {apart[0]:.4f} before, {apart[1]:.4f} "
        f"after; noise {float(noise.square().mean()):.4f}; the decoder magnifies the loudest direction {heard[0]:.3g} "
        f"times, the middle one {heard.median():.3g}",
        file=sys.stderr,
    )


def check(codec: Codec, like: Codec) -> None:
    """UserError where frames of one cannot be those of the other."""
    for one in (codec, like):
        if not isinstance(one.bottleneck, SigmaGaussian):
            raise UserError("--codec and --like must both have frames of floats; there is no linear map of codes")
    shapes = [(c.sample_rate, c.hop_length, c.config.latent_dim) for c in (codec, like)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"frames of {shapes[0]} and {shapes[1]} (Hz, samples, floats) differ; --codec must be a training of --like"
        )


def frames_of(codec: Codec, pack: AudioPack, utts: list[str]) -> torch.Tensor:
    """(M, D), of whole recordings."""
    return codec.bottleneck.to_frames(latents_of(codec, pack, utts))


if __name__ == "__main__":
    sys.exit(main())
