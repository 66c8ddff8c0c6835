"""What a codec makes of recordings, beside the recordings themselves and a plain mel + Griffin-Lim at the same rate."""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from latent_tts import audio
from latent_tts.codec.autoencoder import Codec
from latent_tts.data.kaldi import Entry
from latent_tts.errors import UserError
from latent_tts.evaluate.griffin_lim import MelGriffinLim
from latent_tts.evaluate.pictures import Spectrogram, Trajectory, draw
from latent_tts.evaluate.report import SYSTEMS
from latent_tts.evaluate.score import score_reconstructions
from latent_tts.evaluate.trials import Trial

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A sound file, or a stretch of it, to encode and decode, and what is said in it (empty where it is not known)."""

    utt: str
    path: Path
    text: str
    span: audio.Span | None = None

    def read(self, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
        """Its sound (T,) and rate. UserError where it cannot be a reference."""
        wav, rate = audio.read(self.path, sample_rate, span=self.span)
        return audio.check_reference(wav, rate, str(self.path)), rate


def references_of(trials: Iterable[Trial]) -> list[Recording]:
    """The references of a trial list, each once. Raises UserError where two files have one name."""
    found = {t.reference.resolve(): Recording(t.reference.stem, t.reference, t.reference_text) for t in trials}
    recordings = {recording.utt: recording for recording in found.values()}
    if len(recordings) < len(found):
        raise UserError("two references of the trial list have the same file name; rename one of them")
    return list(recordings.values())


def choose_recordings(
    entries: Iterable[Entry], count: int, seconds: tuple[float, float] = (3.0, 30.0), seed: int = 0
) -> list[Recording]:
    """Up to ``count`` utterances of a data directory, the same for the same arguments: every speaker once, in random
    order, before any twice. Left out are those not of ``seconds``, and with a warning on the log those that cannot be
    used. Raises UserError if none remains."""
    queues: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.utt):
        if seconds[0] <= entry.seconds <= seconds[1]:
            queues.setdefault(entry.spk, []).append(entry)
    speakers = sorted(queues)
    random.Random(seed).shuffle(speakers)
    chosen = []
    for entry in filter(None, chain.from_iterable(zip_longest(*(queues[spk] for spk in speakers)))):
        if len(chosen) == count:
            break
        recording = Recording(entry.utt, entry.path, entry.text, entry.span)
        try:
            recording.read()
        except UserError as error:
            log.warning("%s is left out: %s", entry.utt, error)
            continue
        chosen.append(recording)
    if not chosen:
        raise UserError(f"no recording of {seconds[0]:g} to {seconds[1]:g} s to score; give more recordings")
    return chosen


def score_codec(
    codec: Codec,
    recordings: Sequence[Recording],
    folder: Path,
    whisper_dir: Path | None = None,
    pictures: int = 3,
    threads: int = 1,
    systems: Sequence[str] = tuple(SYSTEMS),
) -> dict:
    """``score_reconstructions`` of ``systems``: the recordings, conditioned as references are, codec and anchor.

    Adds ``numbers_per_second``, what codec and anchor spend. Leaves ``wav/SYSTEM/UTT.wav`` in ``folder`` and, of the
    first ``pictures`` recordings, ``pictures/UTT.png``.
    """
    wavs = {name: {r.utt: folder / "wav" / name / f"{r.utt}.wav" for r in recordings} for name in SYSTEMS}
    for name in SYSTEMS:
        (folder / "wav" / name).mkdir(parents=True, exist_ok=True)
    numbers = numbers_of(codec)
    anchor = MelGriffinLim.at_rate(codec.sample_rate, numbers)
    bar = tqdm(recordings, desc="codec", unit="utt", disable=not sys.stderr.isatty())
    for number, recording in enumerate(bar):
        original = audio.condition_reference(*recording.read(codec.sample_rate))
        frames, decoded = round_trip(codec, original)
        audio.write(wavs["original"][recording.utt], original, codec.sample_rate)
        audio.write(wavs["codec"][recording.utt], decoded, codec.sample_rate)
        if "griffin_lim" in systems:
            audio.write(wavs["griffin_lim"][recording.utt], anchor(original), codec.sample_rate)
        if number < pictures:
            shown = [(f"original: {recording.utt}", original), ("reconstruction", decoded)]
            panels = [Spectrogram(title, wav, codec.sample_rate) for title, wav in shown]
            panels.append(Trajectory(f"its frames, {codec.frame_rate:g} a second", frames, codec.frame_rate))
            draw(folder / "pictures" / f"{recording.utt}.png", panels)
    texts = {recording.utt: recording.text for recording in recordings}
    made = {name: wavs[name] for name in systems}
    score = score_reconstructions(wavs["original"], made, texts, whisper_dir, threads)
    return {"numbers_per_second": {"codec": numbers, "griffin_lim": anchor.numbers}, **score}


@torch.inference_mode()
def numbers_of(codec: Codec) -> float:
    """How many numbers a second the codec's frames are: floats or codes."""
    return codec.encode(torch.zeros(1, 1, codec.hop_length)).shape[2] * codec.frame_rate


@torch.inference_mode()
def round_trip(codec: Codec, wav: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T,) -> (frames (N, D), reconstruction (T,)), the whole signal at once."""
    padded = np.pad(wav, (0, -len(wav) % codec.hop_length))
    frames = codec.encode(torch.from_numpy(padded)[None, None])
    return frames[0].numpy(), codec.decode(frames)[0, 0, : len(wav)].numpy()
