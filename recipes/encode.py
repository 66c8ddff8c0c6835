"""Stage 4b: cut aligned recordings into clips and encode each from a fresh state.

``--tempo`` adds pseudo-speakers: every factor is one more copy of the data, played that much faster, which moves
pitch, formants and rate alike. Leaves a frame pack (frames.npy, clips.json, noise.npy).
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from latent_tts import audio
from latent_tts.codec.autoencoder import Codec
from latent_tts.data.audio_pack import AudioPack
from latent_tts.data.clips import Clip, cut_clips
from latent_tts.data.frame_pack import EncodedClip, write_frame_pack
from latent_tts.data.kaldi import read_data_dir
from latent_tts.model_dir import load_codec
from latent_tts.text.symbols import SymbolTable


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--pack", type=Path, required=True, help="audio pack with alignments.json")
    parser.add_argument("--codec", type=Path, required=True, help="model directory of the codec")
    parser.add_argument("--out", type=Path, required=True, help="folder for the frame pack")
    parser.add_argument("--tempo", type=float, nargs="+", default=[1.0], help="one copy of the data for each factor")
    parser.add_argument("--longest", type=float, default=10.0, help="seconds of a clip")
    options = parser.parse_args(argv)
    if (options.out / "clips.json").exists():
        return 0
    codec, speakers = load_codec(options.codec), {e.utt: e.spk for e in read_data_dir(options.data_dir)}
    pack, alignments = AudioPack(options.pack), json.loads((options.pack / "alignments.json").read_text())
    frames, clips, position, crowded = [], [], 0, 0
    for copy, tempo in enumerate(options.tempo):
        for utt, found in tqdm(alignments.items(), desc=f"encode {options.pack.name} x{tempo:g}", unit="utt"):
            rng = np.random.default_rng((copy, zlib.crc32(utt.encode())))
            seconds, onsets = len(pack[utt]) / pack.sample_rate, np.array(found["onsets"])
            for clip in cut_clips(
                utt, found["phones"], onsets, seconds, SymbolTable.SEPARATORS, rng, longest=options.longest
            ):
                encoded, starts = encode_clip(codec, pack, clip, tempo)
                if np.bincount(starts).max() > 7:
                    crowded += 1
                    continue
                ids = SymbolTable.english().ids(clip.phones)
                clips.append(EncodedClip(f"{speakers[utt]}@{copy}", position, len(encoded), tuple(ids), tuple(starts)))
                frames.append(encoded)
                position += len(encoded)
    write_frame_pack(options.out, frames, clips, codec.bottleneck.noise.numpy())
    hours = position / codec.frame_rate / 3600
    print(f"encode: {options.out}: {len(clips)} clips, {hours:.2f} hours, {crowded} too crowded", file=sys.stderr)
    return 0


@torch.inference_mode()
def encode_clip(codec: Codec, pack: AudioPack, clip: Clip, tempo: float) -> tuple[np.ndarray, list[int]]:
    """Frames (N, D) and the frame in which each phone begins."""
    rate = pack.sample_rate
    wav = pack[clip.utt][round(clip.begin * rate) : round(clip.end * rate)]
    if tempo != 1.0:
        wav = audio.resample(wav, round(rate * tempo), rate)
    wav = np.pad(wav, (0, -len(wav) % codec.hop_length))
    encoded = codec.encode(torch.from_numpy(wav)[None, None])[0].numpy()
    onsets = (np.array(clip.onsets) - clip.begin) / tempo * codec.frame_rate
    return encoded, np.clip(onsets.astype(int), 0, len(encoded) - 1).tolist()


if __name__ == "__main__":
    sys.exit(main())
