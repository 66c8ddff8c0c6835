#!/usr/bin/env python3
"""Recordings of one voice become data/train, data/valid and data/test, and the trials that say whether it got better.

Recordings are cut at pauses into pieces of a few seconds. Pieces that are noisy, clipped, of another speaker, or not
what their transcript says are listed in left_out.txt and left out. What has no transcript is read by the recogniser.
A part of the pieces is held out: data/test is never learnt from, and its sentences occur in no other piece; data/valid
says when to stop. Everything is in order of a seed, so the same recordings are divided the same way.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from pieces import Cutter, Piece, find_recordings, read_transcripts
from tqdm import tqdm

from latent_tts import audio
from latent_tts.clinic import examine
from latent_tts.data.kaldi import Entry, write_data_dir
from latent_tts.errors import UserError, program
from latent_tts.evaluate import similarity, wer
from latent_tts.evaluate.score import require_packages
from latent_tts.evaluate.trials import Trial, write_trials
from latent_tts.files import write_whole
from latent_tts.model_dir import load_aligner, load_codec
from latent_tts.speaker import load_encoder

SPEAKER = "voice"
SHORTEST = 1.5  # seconds of a piece
UNFIT = {"clipped", "snr"}  # findings of the clinic that leave a piece out
WORDS, SECONDS = (4, 20), (2.5, 8.0)  # of a held-out sentence, which is a reference too
FEWEST = 4  # held-out sentences
HELD_OUT_SHARE, VALID_SHARE = 0.2, 0.1  # at most so much of the recordings is held out for the test; for validation
TURNS = 2  # trials of a held-out sentence, each behind another reference


class Checks:
    """What speaks against a piece, and what is said in one without a transcript."""

    def __init__(self, options: argparse.Namespace, cutter: Cutter):
        self.options, self.cutter, self.rate = options, cutter, cutter.rate
        self.encoder = load_encoder()

    @cached_property
    def recogniser(self):
        return wer.load_recogniser(self.options.whisper)

    def passed(self, piece: Piece) -> Piece:
        """The piece, with a text. UserError says why it is left out."""
        report, _ = examine(piece.wav, self.rate, extras=False)
        wrong = [finding.text for finding in report.findings if finding.name in UNFIT]
        if wrong:
            raise UserError(wrong[0])
        if not piece.text:
            heard = wer.transcribe(self.recogniser, audio.resample(piece.wav, self.rate, wer.RECOGNISER_RATE))
            piece = replace(piece, text=" ".join(heard.split()))
        if not re.search(r"\w", piece.text):
            raise UserError("holds no words that the recogniser hears")
        fit = self.cutter.fit(piece)
        if fit < self.options.min_score:
            raise UserError(f"does not fit its transcript (score {fit:.2f} < {self.options.min_score})")
        return piece

    def another_voice(self, pieces: list[Piece]) -> set[int]:
        """Indices of pieces that sound unlike the most of them: the voice is where half of the pieces are."""
        voices = np.stack([similarity.embed(self.encoder, piece.wav, self.rate) for piece in pieces])
        likeness = voices @ voices.T
        centre = voices[np.argmax(np.median(likeness, axis=1))]
        return {i for i, voice in enumerate(voices) if similarity.cosine(voice, centre) < self.options.min_likeness}


def gather(options: argparse.Namespace, checks: Checks) -> tuple[list[Piece], list[str]]:
    """Sound pieces of ``--minutes`` in all, recordings in random order, and a line for each that was left out."""
    texts = read_transcripts(options.transcripts) if options.transcripts else {}
    recordings = find_recordings(options.recordings)
    unknown = sorted(texts.keys() - {path.stem for path in recordings})
    left_out = [f"{name}: has a transcript but no recording" for name in unknown]
    random.Random(options.seed).shuffle(recordings)
    kept: list[Piece] = []
    with tqdm(total=options.minutes, unit="min", desc="data_prep", disable=not sys.stderr.isatty()) as bar:
        for piece in cut_all(recordings, texts, checks.cutter, left_out):
            try:
                kept.append(checks.passed(piece))
            except UserError as error:
                left_out.append(f"{piece}: {error}")
                continue
            bar.update(piece.seconds / 60)
            if minutes(kept) >= options.minutes:
                break
    others = checks.another_voice(kept) if kept else set()
    left_out += [f"{kept[i]}: sounds like another speaker" for i in sorted(others)]
    return [piece for i, piece in enumerate(kept) if i not in others], left_out


def cut_all(recordings: list[Path], texts: dict[str, str], cutter: Cutter, left_out: list[str]) -> Iterator[Piece]:
    """The pieces of all recordings that are long enough; what cannot be cut is added to ``left_out``."""
    for path in recordings:
        try:
            pieces = list(cutter.pieces(path, texts.get(path.stem, "")))
        except UserError as error:
            left_out.append(f"{path.name}: {error}")
            continue
        yield from (piece for piece in pieces if piece.seconds >= SHORTEST)


def minutes(pieces: list[Piece]) -> float:
    return sum(piece.seconds for piece in pieces) / 60


def divided(pieces: list[Piece], count: int, rng: random.Random) -> dict[str, list[Piece]]:
    """train, valid and test. UserError where too few sentences can be held out."""
    pieces = rng.sample(pieces, len(pieces))
    said = [wer.standardise(piece.text) for piece in pieces]
    fit = [
        piece
        for piece, text in zip(pieces, said)
        if said.count(text) == 1
        and WORDS[0] <= len(text.split()) <= WORDS[1]
        and SECONDS[0] <= piece.seconds <= SECONDS[1]
    ]
    test: list[Piece] = []
    for piece in fit[:count]:
        if len(test) < FEWEST or minutes([*test, piece]) <= HELD_OUT_SHARE * minutes(pieces):
            test.append(piece)
    if len(test) < FEWEST:
        raise UserError(
            f"{len(fit)} different sentences of {WORDS[0]} to {WORDS[1]} words in {SECONDS[0]:g} to {SECONDS[1]:g} s; "
            f"at least {FEWEST} are needed to hold out: record more"
        )
    rest = [piece for piece in pieces if piece not in test]
    valid = [rest.pop()]
    while minutes(valid) < VALID_SHARE * minutes(pieces):
        valid.append(rest.pop())
    return {"train": rest, "valid": valid, "test": test}


def trials_of(test: list[Entry]) -> list[Trial]:
    """Each held-out sentence, TURNS times, in the voice of another held-out recording."""
    return [
        Trial(f"{i:03d}-{turn}", entry.text, reference.path, SPEAKER, reference.text)
        for i, entry in enumerate(test)
        for turn in range(1, TURNS + 1)
        for reference in [test[(i + turn) % len(test)]]
    ]


def leave(folder: Path, pieces: list[Piece], recordings: Path, rate: int) -> list[Entry]:
    """Write a split's data directory, and its pieces as sound files beside it."""
    sounds, entries = folder.parent / "sounds", []
    sounds.mkdir(parents=True, exist_ok=True)
    for piece in pieces:
        name = re.sub(r"[^\w.-]", "_", str(piece.recording.relative_to(recordings).with_suffix("")))
        utt = f"{SPEAKER}-{name}-{round(piece.begin * 100):07d}"
        audio.write(sounds / f"{utt}.flac", piece.wav, rate)
        entries.append(Entry(utt, SPEAKER, (sounds / f"{utt}.flac").resolve(), piece.text, len(piece.wav) / rate))
    write_data_dir(folder, entries)
    return entries


def run(options: argparse.Namespace) -> None:
    if (options.data_dir / "trials_test.tsv").exists():
        return
    require_packages(options.whisper)
    wer.require_recogniser(options.whisper)
    aligner, symbols = load_aligner(options.model)
    rate = load_codec(options.model).sample_rate
    pieces, left_out = gather(options, Checks(options, Cutter(aligner, symbols, rate)))
    options.data_dir.mkdir(parents=True, exist_ok=True)
    write_whole(options.data_dir / "left_out.txt", "".join(f"{line}\n" for line in left_out).encode())
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    if minutes(pieces) < options.least_minutes:
        raise UserError(
            f"{minutes(pieces):.1f} minutes of usable speech, {len(left_out)} pieces left out (see "
            f"{options.data_dir}/left_out.txt); record {options.least_minutes:g} minutes or more"
        )
    splits = divided(pieces, options.held_out, random.Random(options.seed))
    entries = {name: leave(options.data_dir / name, split, options.recordings, rate) for name, split in splits.items()}
    write_trials(options.data_dir / "trials_test.tsv", trials_of(entries["test"]))
    shares = ", ".join(f"{name} {len(split)} pieces of {minutes(split):.1f} min" for name, split in splits.items())
    print(f"data_prep: {shares}; {len(left_out)} left out", file=sys.stderr)


@program
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--recordings", type=Path, required=True, help="folder of sound files, of any length, of one voice")
    add("--transcripts", type=Path, help="name|text lines; what has none is read by the recogniser")
    add("--whisper", type=Path, required=True, help="CTranslate2 Whisper folder (tools/get_whisper.sh)")
    add("--model", type=Path, required=True, help="model directory that is to learn the voice")
    add("--data_dir", type=Path, required=True)
    add("--minutes", type=float, default=10.0, help="how much of the recordings is taken, held-out parts included")
    add("--least_minutes", type=float, default=2.0, help="with less it makes no sense")
    add("--held_out", type=int, default=20, help="sentences for the check, at most a fifth of the time")
    add("--min_score", type=float, default=-2.5, help="of a piece's fit to its text")
    add("--min_likeness", type=float, default=0.65, help="of a piece to the others, a cosine of Resemblyzer")
    add("--seed", type=int, default=0)
    run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
