"""Stage 4b: cut aligned recordings into clips and encode each from a fresh state.

``--voices`` adds pseudo-speakers: each is one more copy of the data, FACTOR[:STRETCH[:FORMANTS]]. It is resampled to
sound FACTOR times as fast, which moves pitch, formants and rate alike, then stretched to STRETCH times its length,
which moves the rate alone, and its formants are made FORMANTS times as high, and they alone: 1.1:1.1 is a higher voice
as slow as before, 1.1:1.1:0.91 one with the formants it had.

Leaves a frame pack (frames.npy, clips.json, and noise.npy or, of codes, entries.npy), its clips in C order of their
names.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from stage import Clock, Part, add_parts, pack_in_parts, progress, stage

from latent_tts.codec.autoencoder import Codec
from latent_tts.data.audio_pack import AudioPack
from latent_tts.data.clips import Clip, cut_clips
from latent_tts.data.frame_pack import EncodedClip, laid_out, write_frame_pack
from latent_tts.data.kaldi import read_data_dir
from latent_tts.data.pseudo_speakers import PseudoSpeaker
from latent_tts.errors import UserError
from latent_tts.model_dir import load_codec
from latent_tts.nn.precision import multiplies_bf16
from latent_tts.text.symbols import SymbolTable

MOST_IN_A_FRAME = 7  # phones that may begin in one; clips spoken faster are left out


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, help="Kaldi data directory, for the speakers")
    parser.add_argument("--pack", type=Path, required=True, help="audio pack with alignments.json")
    parser.add_argument("--codec", type=Path, required=True, help="model directory of the codec")
    parser.add_argument("--out", type=Path, required=True, help="folder for the frame pack")
    parser.add_argument("--voices", nargs="+", default=["1"], help="a copy each: FACTOR[:STRETCH[:FORMANTS]]")
    parser.add_argument("--longest", type=float, default=10.0, help="seconds of a clip")
    parser.add_argument("--min_score", type=float, help="leave out recordings aligned worse than this")
    parser.add_argument("--exclude", nargs="*", default=[], metavar="PREFIX", help="leave out speakers named so")
    add_parts(parser)
    options = parser.parse_args(argv)
    pack_in_parts(options, partial(encode, options))


def encode(options: argparse.Namespace, part: Part) -> None:
    """Encode a part of the batches. All parts cut the same clips into the same batches, for what is encoded together
    may decide the last bit of it."""
    voices = [PseudoSpeaker.parse(voice) for voice in options.voices]
    codec = load_codec(options.codec).to(device_here())
    speakers = {e.utt: e.spk for e in read_data_dir(options.data_dir)}
    pack = AudioPack(options.pack, codec.sample_rate)
    alignments = json.loads((options.pack / "alignments.json").read_text())
    alignments = {utt: found for utt, found in alignments.items() if wanted(options, speakers[utt], found["score"])}
    batches = []
    for copy, voice in enumerate(voices):
        pieces = sorted(cut_all(pack, alignments, copy, options.longest), key=lambda clip: clip.seconds)
        batches += [(copy, voice, batch) for batch in batched(pieces)]
    clips, crowded, seconds, clock = [], 0, 0.0, Clock()
    for copy, voice, batch in progress(part.share(batches), desc=f"encode {options.pack.name}", unit="batch"):
        for clip, encoded in zip(batch, encode_clips(codec, pack, batch, voice)):
            seconds += clip.seconds
            starts = first_frames(clip, voice, codec.frame_rate, len(encoded))
            if np.bincount(starts).max() > MOST_IN_A_FRAME:
                crowded += 1
                continue
            ids, name = SymbolTable.english().ids(clip.phones), f"{clip.utt}@{copy}_{round(1000 * clip.begin):07d}"
            speaker = f"{speakers[clip.utt]}@{copy}"
            clips.append((EncodedClip(speaker, 0, len(encoded), tuple(ids), tuple(starts), name), encoded))
    if not clips and not part.suffix:
        raise UserError(f"{options.pack}: no recording of it gives a clip; look at its alignments")
    placed, frames = laid_out(clips)
    noise = codec.bottleneck.noise
    noise = None if noise is None else noise.cpu()
    write_frame_pack(options.out, frames, placed, noise, codec.frame_format.entries, part.suffix)
    pace = sum(clip.count for clip in placed) / max(1, sum(len(clip.phones) for clip in placed))
    told = f"{options.out}: {len(clips)} clips, {crowded} too crowded, {pace:.2f} frames a phone"
    clock.summary("encode", told, seconds)


def wanted(options: argparse.Namespace, speaker: str, score: float) -> bool:
    """Whether a recording is to be learnt from."""
    fits = options.min_score is None or score >= options.min_score
    return fits and not speaker.startswith(tuple(options.exclude))


def cut_all(pack: AudioPack, alignments: dict, copy: int, longest: float) -> list[Clip]:
    """The clips of every aligned recording; each copy of the data is cut elsewhere."""
    clips = []
    for utt, found in alignments.items():
        rng = np.random.default_rng((copy, zlib.crc32(utt.encode())))
        seconds, onsets = pack.spans[utt][1] / pack.sample_rate, np.array(found["onsets"])
        clips += cut_clips(utt, found["phones"], onsets, seconds, SymbolTable.SEPARATORS, rng, longest=longest)
    return clips


def batched(clips: list[Clip], seconds: float = 100.0) -> list[list[Clip]]:
    """Clips in order of length -> batches of about ``seconds``."""
    batches: list[list[Clip]] = []
    for clip in clips:
        if not batches or clip.seconds * (len(batches[-1]) + 1) > seconds:
            batches.append([])
        batches[-1].append(clip)
    return batches


def device_here() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@torch.inference_mode()
def encode_clips(codec: Codec, pack: AudioPack, clips: list[Clip], voice: PseudoSpeaker) -> list[np.ndarray]:
    """Frames (N, D | Q) of each clip. The encoder is causal, so what fills up the shorter ones changes nothing."""
    rate, wavs = pack.sample_rate, []
    for clip in clips:
        wav = pack[clip.utt][round(clip.begin * rate) : round(clip.end * rate)]
        wavs.append(voice.speak(wav, rate))
    counts = [-(-len(wav) // codec.hop_length) for wav in wavs]
    together = np.zeros((len(wavs), 1, max(counts) * codec.hop_length), dtype=np.float32)
    for row, wav in zip(together, wavs):
        row[0, : len(wav)] = wav
    device = device_here()
    with torch.autocast(device, torch.bfloat16, enabled=multiplies_bf16(device)):
        encoded = codec.encode(torch.from_numpy(together).to(device)).cpu().numpy()
    return [row[:count] for row, count in zip(encoded, counts)]


def first_frames(clip: Clip, voice: PseudoSpeaker, frame_rate: float, count: int) -> list[int]:
    """The frame in which each phone of a clip begins when ``voice`` says it."""
    frames = (np.array(clip.onsets) - clip.begin) * voice.length * frame_rate
    return np.clip(frames.astype(int), 0, count - 1).tolist()


if __name__ == "__main__":
    sys.exit(main())
