"""Frames that a model speaks, as a pack: what `train.py spoken` lets a codec's decoder learn from.

Sentences of a list, one a line, in random order, in the voices of a data directory's recordings, each in its turn; one
take each, by default sampling, seed 0 for the first, 1 for the second. The sound is never made.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache, partial
from pathlib import Path

import numpy as np
from stage import Clock, Part, add_parts, pack_in_parts, progress, read_sentences, stage

from latent_tts import TTS, Sampling
from latent_tts.data.frame_pack import EncodedClip, laid_out, write_frame_pack
from latent_tts.data.kaldi import Entry, read_data_dir
from latent_tts.engine.choice import ENGINES
from latent_tts.errors import UserError
from latent_tts.lm.pointer import onsets_of
from latent_tts.model_dir import load_codec
from latent_tts.model_files import SHIPPED


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SHIPPED, help="model directory; default: the shipped one")
    parser.add_argument("--references", type=Path, required=True, help="Kaldi data directory of the voices")
    parser.add_argument("--sentences", type=Path, required=True, help="one a line")
    parser.add_argument("--out", type=Path, required=True, help="folder for the frame pack")
    parser.add_argument("--count", type=int, default=2400, help="how many of the sentences")
    parser.add_argument("--seed", type=int, default=0, help="of the order of voices and sentences")
    parser.add_argument("--threads", type=int, default=0, help="0: the engine decides")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="default: onnx where it is installed")
    add_parts(parser)
    options = parser.parse_args(argv)
    pack_in_parts(options, partial(speak, options))


def speak(options: argparse.Namespace, part: Part) -> None:
    """Speak a part of the lines."""
    lines = part.share(enumerate(lines_of(options)))
    tts = TTS.from_dir(options.model, engine=options.engine, threads=options.threads or None)
    codec, clone, clips, clock = load_codec(options.model), cache(tts.clone), [], Clock()
    for number, (entry, text) in progress(lines, desc="speak", unit="utt"):
        voice, phones = clone(entry.path), tts.sentences(text)[0]
        chunks = list(tts.frames(phones, voice, Sampling(seed=number)))
        frames, begun = (np.concatenate([getattr(c, name)[0] for c in chunks]) for name in ("frames", "phones"))
        known = bool((begun >= 0).all())  # a prefix knows no places
        ids = tuple(tts.symbols.ids(phones)) if known else ()
        starts = tuple(onsets_of(begun, len(ids)).astype(int).tolist())
        clips.append((EncodedClip(entry.spk, 0, len(frames), ids, starts, f"{entry.utt}@{number:05d}"), frames))
    placed, rows = laid_out(clips)
    noise, entries = codec.bottleneck.noise, codec.frame_format.entries
    write_frame_pack(options.out, rows, placed, noise, entries, part.suffix)
    clock.summary("speak_frames", f"{options.out}: {len(clips)} sentences", sum(map(len, rows)) / codec.frame_rate)


def lines_of(options: argparse.Namespace) -> list[tuple[Entry, str]]:
    """Who says what. UserError where there is no voice or no sentence."""
    sentences = [sentence for sentence in read_sentences(options.sentences) if sentence.strip()]
    entries = read_data_dir(options.references)
    if not sentences or not entries:
        raise UserError(f"{options.sentences} or {options.references} is empty; give sentences and voices to say them")
    rng = np.random.default_rng(options.seed)
    rng.shuffle(entries)
    rng.shuffle(sentences)
    return [(entries[i % len(entries)], text) for i, text in enumerate(sentences[: options.count])]


if __name__ == "__main__":
    sys.exit(main())
