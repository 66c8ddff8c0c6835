"""A folder as Libri-Light is, made of egs/mini's recordings: long files, JSON beside them, Libriheavy's manifest."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from latent_tts import audio
from latent_tts.data.corpora import read_collection

CORPUS = Path(__file__).parent.parent / "egs/mini/corpus"
RATE = 16000
GAP = 2.0  # seconds between two utterances


def make(folder: Path) -> Path:
    """Write ``folder/small`` -> the manifest ``folder/cuts.jsonl.gz``, with a cut for every utterance.

    Each of the 18 readers has one recording, of all that he says, with 2 s of faint noise before every utterance.
    """
    readers: dict[str, list] = {}
    for item in read_collection(CORPUS):
        readers.setdefault(item.spk, []).append(item)
    cuts = []
    for spk, items in readers.items():
        path = folder / "small" / spk / "a_book" / f"chapter_{spk}.flac"
        path.parent.mkdir(parents=True)
        pieces, position = [], 0
        for item in sorted(items, key=lambda item: item.utt):
            wav, _ = audio.read(item.path, RATE)
            pieces += [np.random.default_rng(position).normal(0, 1e-4, round(GAP * RATE)), wav]
            position += len(pieces[-2])
            cuts.append(cut(f"small/{spk}/a_book/chapter_{spk}", position / RATE, len(wav) / RATE, item.text))
            position += len(wav)
        audio.write(path, np.concatenate(pieces).astype(np.float32), RATE)
        path.with_suffix(".json").write_text(json.dumps({"speaker": spk, "book_meta": {"id": "1"}, "snr": 9.5}))
    manifest = folder / "cuts.jsonl.gz"
    manifest.write_bytes(gzip.compress("".join(f"{json.dumps(each)}\n" for each in cuts).encode()))
    return manifest


def cut(recording: str, start: float, duration: float, text: str) -> dict:
    """A line of Libriheavy's: the text as printed, then as it was recognised."""
    supervision = {"start": 0, "duration": duration, "custom": {"texts": [text, text.upper()]}}
    return {"start": start, "duration": duration, "supervisions": [supervision], "recording": {"id": recording}}
