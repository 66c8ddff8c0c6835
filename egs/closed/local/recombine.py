#!/usr/bin/env python3
"""More lines from the same recordings: recombine.py --data_dir data/train --pack dump/audio/train --out DIR [--count N]

Every sentence of this corpus has the same places, so a place can be taken from any sentence of the same speaker:
twelve lines become as many as one likes. At each place another source is drawn in three of ten cases. Every fourth
line has two sentences, as in sentences.py. No sentence is one of the recorded ones or of --exclude. Leaves a Kaldi data
directory that has the recordings, too; its sound is in wav/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sentences import PAIR, PLACES

from latent_tts import audio
from latent_tts.data.audio_pack import AudioPack
from latent_tts.data.kaldi import Entry, read_data_dir, read_table, write_data_dir
from latent_tts.text.symbols import PAUSE_MARKS, WORD_SPACE

FADE = 0.012  # seconds in which one source gives way to the next
SEARCH = (0.03, 0.08)  # seconds behind a word's onset where its quietest moment is looked for: aligned onsets are early
SHORTEST = 0.04  # seconds of a place; a sentence with a shorter one was not aligned well
SWITCH = 0.3  # how often a place has another source than the one before


@dataclass(frozen=True)
class Sentence:
    """A recorded one: what stands at each place, and where each begins and the last one ends, in seconds."""

    utt: str
    words: tuple[str, ...]
    edges: tuple[float, ...]


def sentences_of(utt: str, text: str, onsets: list[float], seconds: float) -> list[Sentence]:
    """The sentences of a recording whose words begin at ``onsets``; those that were aligned well."""
    found, begin = [], 0
    for written in separate(text):
        words = written.split()
        end = begin + len(words)
        edges = (*onsets[begin : begin + len(PLACES)], onsets[end] if end < len(onsets) else seconds)
        last = len(PLACES) - 1  # the place that holds two words at times
        if np.diff(edges).min() >= SHORTEST:
            found.append(Sentence(utt, (*words[:last], " ".join(words[last:])), edges))
        begin = end
    return found


def separate(text: str) -> list[str]:
    """The sentences of a line, in small letters and without full stops."""
    return text.rstrip(".").lower().split(". ")


def word_onsets(wav: np.ndarray, rate: int, phones: list[str], onsets: list[float]) -> list[float]:
    """Where each word begins: a quiet moment behind the onset of its first phone."""
    between = {WORD_SPACE, *PAUSE_MARKS}
    begins = [before in between and phone not in between for before, phone in zip(phones, phones[1:])]
    return [quietest(wav, rate, onset) for onset, first in zip(onsets[1:], begins) if first]


def quietest(wav: np.ndarray, rate: int, onset: float) -> float:
    begin, end = (max(0, round((onset + by) * rate)) for by in SEARCH)
    power = np.convolve(wav[begin:end] ** 2, np.ones(round(FADE * rate)), "same")
    return (begin + int(power.argmin())) / rate if len(power) else onset


def drawn(sentences: list[Sentence], rng: np.random.Generator) -> list[Sentence]:
    """The source of every place."""
    sources = [sentences[rng.integers(len(sentences))]]
    while len(sources) < len(PLACES):
        sources.append(sentences[rng.integers(len(sentences))] if rng.random() < SWITCH else sources[-1])
    return sources


def words_of(sources: list[Sentence]) -> str:
    return " ".join(source.words[place] for place, source in enumerate(sources))


def spliced(pack: AudioPack, line: list[list[Sentence]]) -> np.ndarray:
    """Sound (T,) of the sentences of a line, given by the source of every place."""
    rate, fade = pack.sample_rate, round(FADE * pack.sample_rate)
    ramp, wav = np.linspace(0, 1, fade, dtype=np.float32), np.zeros(fade, np.float32)
    for place, source in (pair for sources in line for pair in enumerate(sources)):
        recording = np.pad(pack[source.utt], (fade, 0))  # a piece begins a fade before its edge
        piece = recording[round(source.edges[place] * rate) : round(source.edges[place + 1] * rate) + fade]
        wav[-fade:] = wav[-fade:] * (1 - ramp) + piece[:fade] * ramp
        wav = np.concatenate([wav, piece[fade:]])
    return wav


def recombined(
    pack: AudioPack, speakers: dict[str, list[Sentence]], taken: set[str], folder: Path, count: int, seed: int
) -> Iterator[Entry]:
    """``count`` new lines, shared among the ``speakers``; a line depends on its number and the seed alone."""
    for number in range(count):
        speaker = sorted(speakers)[number % len(speakers)]
        rng, line = np.random.default_rng((seed, number)), []
        while len(line) < 1 + (number // len(speakers) % PAIR == PAIR - 1):
            sources = drawn(speakers[speaker], rng)
            if words_of(sources) not in taken:
                line.append(sources)
        utt, wav = f"{speaker}-s{number:05d}", spliced(pack, line)
        audio.write(folder / f"{utt}.flac", wav, pack.sample_rate)
        text = " ".join(words_of(sources).capitalize() + "." for sources in line)
        yield Entry(utt, speaker, Path("wav") / f"{utt}.flac", text, len(wav) / pack.sample_rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, required=True, help="Kaldi data directory of the recordings")
    parser.add_argument("--pack", type=Path, required=True, help="their audio pack, aligned")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4800, help="new lines")
    parser.add_argument("--exclude", type=Path, nargs="*", default=[], help="files `text` of sentences to keep off")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    pack, recordings = AudioPack(options.pack), read_data_dir(options.data_dir)
    alignments = json.loads((options.pack / "alignments.json").read_text("utf-8"))
    speakers: dict[str, list[Sentence]] = {}
    for entry in recordings:
        found = alignments[entry.utt]
        onsets = word_onsets(pack[entry.utt], pack.sample_rate, found["phones"], found["onsets"])
        speakers.setdefault(entry.spk, []).extend(sentences_of(entry.utt, entry.text, onsets, pack.seconds(entry.utt)))
    texts = [entry.text for entry in recordings]
    texts += [text for path in options.exclude for text in read_table(path).values()]
    taken = {sentence for text in texts for sentence in separate(text)}
    (options.out / "wav").mkdir(parents=True, exist_ok=True)
    new = list(recombined(pack, speakers, taken, options.out / "wav", options.count, options.seed))
    write_data_dir(options.out, [*recordings, *new])
    print(f"{options.out}: {len(recordings)} recorded and {len(new)} new lines", file=sys.stderr)


if __name__ == "__main__":
    main()
