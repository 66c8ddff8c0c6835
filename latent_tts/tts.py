"""Text and a voice become sound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latent_tts import audio
from latent_tts.align.intervals import Interval, phone_intervals, word_intervals
from latent_tts.engine.choice import load_model
from latent_tts.errors import UserError
from latent_tts.frames import Chunk, Sampling, Utterances, Voice, stack
from latent_tts.lm.likeness import kept_alike, transport
from latent_tts.lm.pointer import onsets_of
from latent_tts.model_files import SHIPPED, load_symbols, voice_hash
from latent_tts.text.normalize import normalize, split_sentences
from latent_tts.text.phonemes import Phonemizer
from latent_tts.text.symbols import SymbolTable

REFERENCE_SECONDS = 8.0  # of a reference; what the language model was trained to follow
PAUSE_SECONDS = 0.12  # between two sentences
FADE_SECONDS = 0.01  # at both ends of a sentence, so that joints do not click
TAIL_SECONDS = 0.06  # of the quiet behind a sentence's last sound that stay
QUIET = 10 ** (-50 / 20)  # below this, 27 dB under the level of a voice, a sample is quiet
GROWTH = (1, 2, 4, 8)  # frames decoded at a time: few at first, so that sound comes early
ROWS = 8  # sentences generated together in a batch
REHEARSAL = (  # what a model says to itself in a voice that it has cloned: of the Harvard sentences (IEEE 1969)
    "The birch canoe slid on the smooth planks.",
    "It's easy to tell the depth of a well.",
    "The juice of lemons makes fine punch.",
    "A large size in stockings is hard to sell.",
)


@dataclass(frozen=True)
class Timed:
    """A sound (T,), and when its words, as they stand in the normalised text, and its phones are said."""

    wav: np.ndarray
    words: tuple[Interval, ...]
    phones: tuple[Interval, ...]


class Row(NamedTuple):
    """A sentence while it is spoken."""

    sound: Iterator[np.ndarray]  # (n,) each
    begun: list[int]  # how many of its phones have begun by the end of each frame made so far


class Spoken(NamedTuple):
    """A sentence as it was spoken."""

    text: str  # normalised
    phones: tuple[str, ...]
    wav: np.ndarray  # (T,) float32
    begun: np.ndarray  # (N,) int64: how many of the phones had begun by the end of each of the frames it is from
    seed: int


class TTS:
    """A model that speaks.

    >>> tts = TTS.from_dir()
    >>> voice = tts.clone("me.wav")
    >>> wav = tts.speak("Hello there.", voice)  # (T,) float32 at tts.sample_rate
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        lexicon: str | Path | None = None,
        engine: str = "auto",
        threads: int | None = None,
    ):
        self.folder, self.device = Path(folder), device
        self.model, self.engine = load_model(self.folder, device, engine, threads)
        self.symbols = load_symbols(folder)
        self.phonemizer = Phonemizer(self.symbols, lexicon)
        self.model_hash = voice_hash(folder)

    @classmethod
    def from_dir(
        cls,
        path: str | Path | None = None,
        device: str = "cpu",
        lexicon: str | Path | None = None,
        engine: str = "auto",
        threads: int | None = None,
    ) -> TTS:
        """Load a model directory; without ``path`` the shipped one. UserError says what is wrong with it.

        ``engine`` is torch, onnx (the extra ``fast``, on a CPU) or auto: onnx where it can be had. A seed draws the
        same with either, and 8-bit weights make a little else of it. So many ``threads`` compute; None is what torch is
        set to, or for onnx what is fastest here, tried once.
        """
        return cls(SHIPPED if path is None else Path(path), device, lexicon, engine, threads)

    @property
    def sample_rate(self) -> int:
        return self.model.sample_rate

    def clone(
        self, reference: object, text: str | None = None, sample_rate: int | None = None, rehearse: bool = False
    ) -> Voice:
        """A voice from a recording: a path, an open file, or samples (T,) or (C, T) with their ``sample_rate``.

        At least a second of speech; no more than the first 8 s are used, cut where it is quiet. ``text``, what is said
        in the recording, is optional. To ``rehearse`` takes longer, and what is said is nearer to the voice (see
        ``rehearsed``). UserError for anything that is no usable recording.
        """
        wav = self._read(reference, sample_rate)
        phones, onsets = self._align(wav, text) if text and text.strip() else ((), np.zeros(0))
        wav = wav[: self._quiet_cut(wav)]
        frames = self.model.encode(np.pad(wav, (0, -len(wav) % self.model.hop_length)))
        starts = [int(t * self.model.frame_rate) for t in onsets]
        heard = [s for s in starts if s < len(frames)]
        more = {"text": text or "", "sample_rate": self.sample_rate}
        voice = Voice(frames, tuple(phones[: len(heard)]), tuple(heard), self.model_hash, **more)
        return self.rehearsed(voice) if rehearse else voice

    def rehearsed(self, voice: Voice) -> Voice:
        """The same voice after the model has said REHEARSAL in it: with the ``transport`` by which all that is said is
        then kept near its reference (``lm.likeness``). As it is where frames are codes. UserError for a voice of
        another model, and where this one has nothing to say."""
        if not np.issubdtype(voice.frames.dtype, np.floating):
            return voice
        prompts = stack([self.prompt(self.phonemizer(sentence), voice) for sentence in REHEARSAL])
        feeds = _split(self.model.generate(prompts, Sampling()), [[] for _ in REHEARSAL])
        said = [chunk.frames[0] for feed in feeds for chunk in feed]
        if not said:
            raise UserError("the model says nothing in this voice, so it cannot rehearse; leave that out")
        return replace(voice, transport=transport(voice.frames, np.concatenate(said)))

    def speak(self, text: str, voice: Voice, sampling: Sampling = Sampling()) -> np.ndarray:
        """The whole sound (T,) of a text of any length."""
        return np.concatenate(list(self.stream(text, voice, sampling)))

    def stream(self, text: str, voice: Voice, sampling: Sampling = Sampling()) -> Iterator[np.ndarray]:
        """The sound as it is made, in chunks (n,), sentence by sentence."""
        for i, phones in enumerate(self.sentences(text)):
            if i:
                yield self._pause
            yield from self._shaped(self._decode(self.frames(phones, voice, sampling)))

    def frames(self, phones: Sequence[str], voice: Voice, sampling: Sampling = Sampling()) -> Iterator[Chunk]:
        """What the codec is to make a sentence's sound of, as it is made."""
        made = self.model.generate(self.prompt(phones, voice), sampling)
        return kept_alike(made, voice, sampling.likeness)

    def timed(self, text: str, voice: Voice, sampling: Sampling = Sampling()) -> Timed:
        """What ``speak`` says, with the times of words and phones. UserError as by ``times``."""
        pieces, words, phones = [], [], []
        sentences = self.written(text)
        said = dict(self.say(sentences, [voice] * len(sentences), sampling))
        for i in range(len(sentences)):
            if i:
                pieces.append(self._pause)
            begin, spoken = sum(map(len, pieces)) / self.sample_rate, said[i]
            pieces.append(spoken.wav)
            for kind, found in zip((words, phones), self.times(spoken)):
                kind += [interval.later(begin) for interval in found]
        return Timed(np.concatenate(pieces), tuple(words), tuple(phones))

    def times(self, spoken: Spoken) -> tuple[list[Interval], list[Interval]]:
        """When the words of a sentence and its phones are said, in seconds, as finely as frames are.

        UserError where the model does not know: one that reads its text otherwise than through a pointer.
        """
        if (spoken.begun < 0).any():
            raise UserError(
                "this model does not know when it says what; "
                "leave captions out, or take one that reads through a pointer"
            )
        seconds = len(spoken.wav) / self.sample_rate  # it may end within its last frames
        onsets = onsets_of(spoken.begun, len(spoken.phones)) / self.model.frame_rate
        said = phone_intervals(spoken.phones, np.minimum(onsets, seconds).tolist(), seconds)
        words = [word for word, _ in self.phonemizer.words(spoken.text)]
        return word_intervals(said, SymbolTable.SEPARATORS, words), said

    def speak_batch(
        self, texts: Sequence[str], voices: Sequence[Voice], sampling: Sampling = Sampling()
    ) -> list[np.ndarray]:
        """One sound (T,) a text, each as ``speak`` gives it alone, generated several sentences at a time.

        ``sampling.seed`` may be a tuple with a seed for each text.
        """
        if len(texts) != len(voices):
            raise UserError(f"{len(texts)} texts but {len(voices)} voices; give one voice a text")
        rows = [self.written(text) for text in texts]
        seeds = tuple(seed for row, seed in zip(rows, sampling.seeds(len(rows))) for _ in row)
        owners = [voice for row, voice in zip(rows, voices) for _ in row]
        said = dict(self.say([sentence for row in rows for sentence in row], owners, replace(sampling, seed=seeds)))
        wavs = (said[i].wav for i in range(len(said)))
        return [
            np.concatenate([piece for i in range(len(row)) for piece in ([self._pause] if i else []) + [next(wavs)]])
            for row in rows
        ]

    def rows(
        self, sentences: Sequence[Sequence[str]], voices: Sequence[Voice], sampling: Sampling = Sampling()
    ) -> list[Row]:
        """Sentences, as phones, that are spoken as one batch, each as it would sound alone. They are made as they are
        asked for: whichever row needs frames has the next ones of all of them made."""
        begun: list[list[int]] = [[] for _ in sentences]
        prompts = stack([self.prompt(phones, voice) for phones, voice in zip(sentences, voices)])
        feeds = _split(self.model.generate(prompts, sampling), begun)
        alike = (kept_alike(feed, voice, sampling.likeness) for feed, voice in zip(feeds, voices))
        return [Row(self._shaped(self._decode(feed)), phones) for feed, phones in zip(alike, begun)]

    def say(
        self, sentences: Sequence[str], voices: Sequence[Voice], sampling: Sampling = Sampling()
    ) -> Iterator[tuple[int, Spoken]]:
        """Single normalised sentences (see ``written``), each in a voice of its own, ROWS of like length at a time.

        Yields (index, sentence) as they are made, the short ones first. ``sampling.seed`` may be a tuple with a seed
        for each.
        """
        seeds, phones = sampling.seeds(len(sentences)), [self.phonemizer(sentence) for sentence in sentences]
        order = sorted(range(len(sentences)), key=lambda i: len(phones[i]) + len(voices[i].phones))
        for first in range(0, len(order), ROWS):
            batch = order[first : first + ROWS]
            drawn = replace(sampling, seed=tuple(seeds[i] for i in batch))
            for i, row in zip(batch, self.rows([phones[i] for i in batch], [voices[i] for i in batch], drawn)):
                wav = np.concatenate(list(row.sound))
                yield i, Spoken(sentences[i], tuple(phones[i]), wav, np.array(row.begun), seeds[i])

    def written(self, text: str) -> list[str]:
        """The sentences of a text, normalised, without those that have nothing to speak. UserError where none has."""
        found = []
        for sentence in split_sentences(normalize(text)):
            try:
                self.phonemizer(sentence)
            except UserError:
                continue
            found.append(sentence)
        if not found:
            self.phonemizer(text)  # says what is wrong
        return found or [text]

    def sentences(self, text: str) -> list[list[str]]:
        """Phones of each sentence of a text. UserError where there is nothing to speak."""
        return [self.phonemizer(sentence) for sentence in self.written(text)]

    def prompt(self, phones: Sequence[str], voice: Voice) -> Utterances:
        """What the language model continues: the voice's frames, its phones if they are known, and what to say."""
        if voice.model != self.model_hash:
            raise UserError(f"voice {voice.name!r} was made by another model; clone it again with this one")
        text = self.symbols.ids([*voice.phones, *phones])
        return Utterances(
            text=np.array([text], np.int64),
            text_lens=np.array([len(text)]),
            frames=voice.frames[None],
            frame_lens=np.array([len(voice.frames)]),
            prompt_lens=np.array([len(voice.frames)]),
            prompt_text_lens=np.array([len(voice.phones)]),
            starts=np.array([[*voice.starts, *[0] * len(phones)]], np.int64),
        )

    def _read(self, reference: object, sample_rate: int | None) -> np.ndarray:
        """A reference as the language model knows them: mono, at the codec's rate, trimmed, at one level."""
        if hasattr(reference, "shape") or isinstance(reference, list):
            if sample_rate is None:
                raise UserError("samples need their rate: clone(samples, sample_rate=16000)")
            wav = audio.resample(audio.check_reference(reference, sample_rate), sample_rate, self.sample_rate)
        else:
            wav, _ = audio.read_reference(reference, self.sample_rate)
        return audio.condition_reference(wav, self.sample_rate)

    def _align(self, wav: np.ndarray, text: str) -> tuple[list[str], np.ndarray]:
        """Phones of a reference's text and the seconds at which they begin."""
        phones = self.phonemizer(normalize(text))
        hearing = self.model.hearing
        wav = audio.resample(wav, self.sample_rate, hearing.sample_rate)
        return phones, hearing.align(wav, self.symbols.ids(phones))[0]

    @property
    def _pause(self) -> np.ndarray:
        """The silence between two sentences."""
        return np.zeros(round(PAUSE_SECONDS * self.sample_rate), np.float32)

    def _quiet_cut(self, wav: np.ndarray) -> int:
        """Where to end a reference: its whole length, or the quietest place in the last quarter of the allowed time."""
        limit = int(REFERENCE_SECONDS * self.sample_rate)
        if len(wav) <= limit:
            return len(wav)
        hop, first = self.sample_rate // 50, limit * 3 // 4
        levels = audio.frame_levels(wav[first:limit], self.sample_rate)
        smooth = np.convolve(levels, np.ones(5) / 5, mode="same")
        return first + int(smooth.argmin()) * hop

    def _decode(self, chunks: Iterator[Chunk]) -> Iterator[np.ndarray]:
        """Sound (n,) from one row's frames, a few at a time."""
        state, waiting, sizes = {}, [], iter(GROWTH)
        size = next(sizes)
        for chunk in chunks:
            waiting.append(chunk.frames[0])
            if len(waiting) == size:
                yield self.model.decode(np.concatenate(waiting), state)
                waiting, size = [], next(sizes, size)
        if waiting:
            yield self.model.decode(np.concatenate(waiting), state)

    def _shaped(self, chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """A sentence's sound as it is given out."""
        return self._faded(ended(chunks, round(TAIL_SECONDS * self.sample_rate)))

    def _faded(self, chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """A sentence's sound with short fades at both ends. Only what may be its last samples is held back."""
        ramp = np.linspace(0, 1, round(FADE_SECONDS * self.sample_rate), dtype=np.float32)
        held = None
        for chunk in chunks:
            chunk = chunk.copy() if held is None else np.concatenate([held, chunk])
            if held is None:
                chunk[: len(ramp)] *= ramp
            yield chunk[: -len(ramp)]
            held = chunk[-len(ramp) :]
        if held is not None:
            yield held * ramp[::-1]


def ended(chunks: Iterator[np.ndarray], tail: int) -> Iterator[np.ndarray]:
    """A sentence's sound (n,) as it comes, without what lies more than ``tail`` samples behind the last that is not
    quiet. What may be that is held back until more is heard; a sentence that is quiet throughout stays whole."""
    held, left = np.zeros(0, np.float32), None  # how many of ``held`` and what follows are known to stay
    for chunk in chunks:
        held = np.concatenate([held, chunk])
        loud = np.flatnonzero(np.abs(held) >= QUIET)
        if loud.size:
            left = int(loud[-1]) + 1 + tail
        if left:
            sound, held = np.split(held, [left])
            left -= len(sound)
            yield sound
    if left is None:
        yield held


def _split(chunks: Iterator[Chunk], begun: list[list[int]]) -> list[Iterator[Chunk]]:
    """A batch's chunks -> an iterator over those of each row; ``begun`` notes phones frame by frame."""
    waiting: list[deque[Chunk]] = [deque() for _ in begun]
    alive = set(range(len(begun)))

    def make() -> bool:
        chunk = next(chunks, None)
        for i in sorted(alive):
            count = 0 if chunk is None else int(chunk.alive[i].sum())
            if count:
                waiting[i].append(Chunk(*(x[i : i + 1, :count] for x in chunk)))
                begun[i] += chunk.phones[i, :count].tolist()
            if chunk is None or count < chunk.alive.shape[1]:
                alive.remove(i)
        return chunk is not None

    def feed(i: int) -> Iterator[Chunk]:
        while waiting[i] or (i in alive and make()):
            if waiting[i]:
                yield waiting[i].popleft()

    return [feed(i) for i in range(len(begun))]
