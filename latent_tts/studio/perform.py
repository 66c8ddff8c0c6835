"""A performance: parts of text, each in its voice and at its rate, become one sound; when what is said is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from latent_tts.align.intervals import Interval
from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Voice
from latent_tts.studio.takes import Booth, Take
from latent_tts.text.markup import Part, read_dialogue, read_marks
from latent_tts.text.normalize import normalize
from latent_tts.text.ssml import is_ssml, read_ssml
from latent_tts.tts import PAUSE_SECONDS, TTS

LONGEST_TEXT = 100_000  # characters as they are spoken, about two hours; a whole sound is held in memory

Cast = Callable[[str], Voice]  # the voice of a name; that of "" is the one that was given


class Performance(NamedTuple):
    """A sound, the takes in it and the second at which each begins."""

    wav: np.ndarray  # (T,) float32
    takes: list[Take]
    starts: list[float]

    def words(self, tts: TTS) -> list[list[Interval]]:
        """When the words of each sentence are said. UserError as by ``TTS.times``."""
        said = [tts.times(take.spoken)[0] for take in self.takes]
        return [[word.later(start) for word in words] for words, start in zip(said, self.starts)]


class Line(NamedTuple):
    """A sentence of a performance, normalised, or a last silence without one."""

    text: str
    voice: Voice
    sampling: Sampling
    pause: float  # seconds before it


def read_parts(text: str, form: str = "auto") -> list[Part]:
    """The parts of a text: "ssml", "dialogue", "marks", "plain", or "auto", SSML where it begins so and else marks."""
    if form == "auto":
        form = "ssml" if is_ssml(text) else "marks"
    readers = {"ssml": read_ssml, "dialogue": read_dialogue, "marks": read_marks, "plain": lambda text: [Part(text)]}
    return readers[form](text)


def lines_of(tts: TTS, parts: Sequence[Part], cast: Cast, sampling: Sampling) -> Iterator[Line]:
    """The sentences of ``parts`` as they are asked for. UserError for a voice that is not there, and at the end where
    no part has anything to speak.
    """
    refused, spoken, first = None, False, True
    for part in parts:
        own = sampling if part.rate == 1 else replace(sampling, speed=sampling.speed * part.rate)
        voice, sentences = cast(part.voice), [""]
        try:
            sentences = tts.written(part.text) if part.text else [""]
            spoken = spoken or bool(part.text)
        except UserError as error:  # a stray mark between two others, say; the rest may have words
            refused = error
        for i, sentence in enumerate(sentences):
            yield Line(sentence, voice, own, part.pause if not i and (first or part.pause) else PAUSE_SECONDS)
            first = False
    if not spoken and refused:
        raise refused


def script_of(tts: TTS, parts: Sequence[Part], cast: Cast, sampling: Sampling = Sampling()) -> list[Line]:
    """All lines at once. UserError for more than LONGEST_TEXT characters too, since all sound is held in memory."""
    if sum(len(normalize(part.text)) for part in parts) > LONGEST_TEXT:
        raise UserError(f"the text has over {LONGEST_TEXT} characters when spoken; give it in parts, or stream it")
    return list(lines_of(tts, parts, cast, sampling))


def perform(booth: Booth, lines: Sequence[Line]) -> Performance:
    """One sound of all lines; those that are drawn alike are spoken several at a time."""
    (performance,) = perform_all(booth, [lines])
    return performance


def perform_all(booth: Booth, scripts: Sequence[Sequence[Line]]) -> list[Performance]:
    """A performance of each script; lines that are drawn alike, of whatever script, are spoken several at a time."""
    every = [line for lines in scripts for line in lines]
    takes: dict[int, Take] = {}
    for sampling in dict.fromkeys(replace(line.sampling, seed=0) for line in every):
        chosen = [i for i, line in enumerate(every) if line.text and replace(line.sampling, seed=0) == sampling]
        seeds = tuple(every[i].sampling.seeds(1)[0] for i in chosen)
        texts, voices = [every[i].text for i in chosen], [every[i].voice for i in chosen]
        takes.update(zip(chosen, booth.say(texts, voices, replace(sampling, seed=seeds))))
    numbers = iter(range(len(every)))
    return [_joined(booth.tts, [(line, takes.get(next(numbers))) for line in lines]) for lines in scripts]


def stream(tts: TTS, parts: Sequence[Part], cast: Cast, sampling: Sampling) -> Iterator[np.ndarray]:
    """The sound of a performance in chunks (n,) as it is made, each sentence in its first take."""
    for line in lines_of(tts, parts, cast, sampling):
        if line.pause:
            yield np.zeros(round(line.pause * tts.sample_rate), np.float32)
        if line.text:
            yield from tts.stream(line.text, line.voice, line.sampling)


def _joined(tts: TTS, said: list[tuple[Line, Take | None]]) -> Performance:
    pieces, takes, starts, length = [], [], [], 0
    for line, take in said:
        pieces.append(np.zeros(round(line.pause * tts.sample_rate), np.float32))
        length += len(pieces[-1])
        if take:
            takes.append(take)
            starts.append(length / tts.sample_rate)
            pieces.append(take.spoken.wav)
            length += len(take.spoken.wav)
    return Performance(np.concatenate(pieces), takes, starts)
