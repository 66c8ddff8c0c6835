"""Text and a voice become sound."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from latent_tts import audio
from latent_tts.align.intervals import Interval, phone_intervals, word_intervals
from latent_tts.engine.accelerate import accelerate, choose_engine, has_graphs
from latent_tts.engine.store import GraphStore, cache_folder
from latent_tts.errors import UserError
from latent_tts.frames import Chunk, Sampling, Utterances, Voice, stack
from latent_tts.lm.pointer import onsets_of
from latent_tts.model_dir import (
    SHIPPED,
    check_frames,
    load_aligner,
    load_codec,
    load_lm,
    load_symbols,
    voice_hash,
)
from latent_tts.nn.packed import packed
from latent_tts.nn.state import State
from latent_tts.text.normalize import normalize, split_sentences
from latent_tts.text.phonemes import Phonemizer
from latent_tts.text.symbols import SymbolTable

log = logging.getLogger("latent_tts")

REFERENCE_SECONDS = 8.0  # of a reference; what the language model was trained to follow
PAUSE_SECONDS = 0.12  # between two sentences
FADE_SECONDS = 0.01  # at both ends of a sentence, so that joints do not click
GROWTH = (1, 2, 4, 8)  # frames decoded at a time: few at first, so that sound comes early
ROWS = 8  # sentences generated together in a batch


@dataclass(frozen=True)
class Timed:
    """A sound (T,), and when its words, as they stand in the normalised text, and its phones are said."""

    wav: Tensor
    words: tuple[Interval, ...]
    phones: tuple[Interval, ...]


class Row(NamedTuple):
    """A sentence while it is spoken."""

    sound: Iterator[Tensor]  # (n,) each
    begun: list[int]  # how many of its phones have begun by the end of each frame made so far


class Spoken(NamedTuple):
    """A sentence as it was spoken."""

    text: str  # normalised
    phones: tuple[str, ...]
    wav: Tensor  # (T,) float32
    begun: Tensor  # (N,) int64: how many of the phones had begun by the end of each frame
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
        self.folder, self.device = Path(folder), torch.device(device)
        self.engine = choose_engine(engine, self.device.type)
        self.codec = load_codec(folder).to(self.device)
        self.lm = load_lm(folder).to(self.device)
        self.symbols = load_symbols(folder)
        self.phonemizer = Phonemizer(self.symbols, lexicon)
        self.model_hash = voice_hash(folder)
        check_frames(self.folder, self.codec, self.lm)
        if len(self.symbols) != self.lm.config.vocabulary:
            raise UserError(
                f"{folder}: phones.txt has {len(self.symbols)} symbols, lm wants {self.lm.config.vocabulary}; its "
                "parts are of different models"
            )
        if self.engine == "onnx":
            self._accelerate(engine, threads)
        if self.device.type == "cpu":
            packed(self.codec)
            packed(self.lm)

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

        ``engine`` is torch, onnx (the extra ``fast``, on a CPU) or auto: onnx where it can be had. A seed's sound is an
        engine's own. ``threads`` are those of onnx; None is what is fastest here, tried once.
        """
        return cls(SHIPPED if path is None else Path(path), device, lexicon, engine, threads)

    def _accelerate(self, engine: str, threads: int | None) -> None:
        """Run the parts that can be by ONNX Runtime. Where ``auto`` chose it and it fails, torch goes on, as it does
        for a language model that has no graphs."""
        if not has_graphs(self.lm):
            log.info("speaking by torch, since there are no graphs for this kind of language model")
            self.engine = "torch"
            return
        files = [self.folder / name for name in ("config.yaml", "codec.safetensors", "lm.safetensors")]
        store = GraphStore(cache_folder(), files)
        try:
            accelerate(self.codec, self.lm, store, lambda: load_lm(self.folder).head, threads)
        except Exception as error:  # of a tracer or a runtime of another version, say; the model itself is sound
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if engine == "onnx":
                raise UserError(f"{self.folder}: no graph can be made of it ({reason}); use the torch engine") from None
            log.info("speaking by torch, since the onnx engine failed (%s)", reason)
            self.engine = "torch"

    @property
    def sample_rate(self) -> int:
        return self.codec.sample_rate

    @torch.inference_mode()
    def clone(self, reference: object, text: str | None = None, sample_rate: int | None = None) -> Voice:
        """A voice from a recording: a path, an open file, or samples (T,) or (C, T) with their ``sample_rate``.

        At least a second of speech; no more than the first 8 s are used, cut where it is quiet. ``text``, what is said
        in the recording, is optional. UserError for anything that is no usable recording.
        """
        wav = self._read(reference, sample_rate)
        phones, onsets = self._align(wav, text) if text and text.strip() else ((), np.zeros(0))
        wav = wav[: self._quiet_cut(wav)]
        wav = np.pad(wav, (0, -len(wav) % self.codec.hop_length))
        frames = self.codec.encode(torch.from_numpy(wav).to(self.device)[None, None])[0].cpu()
        starts = [int(t * self.codec.frame_rate) for t in onsets]
        heard = [s for s in starts if s < len(frames)]
        more = {"text": text or "", "sample_rate": self.sample_rate}
        return Voice(frames, tuple(phones[: len(heard)]), tuple(heard), self.model_hash, **more)

    def speak(self, text: str, voice: Voice, sampling: Sampling = Sampling()) -> Tensor:
        """The whole sound (T,) of a text of any length."""
        return torch.cat(list(self.stream(text, voice, sampling)))

    def stream(self, text: str, voice: Voice, sampling: Sampling = Sampling()) -> Iterator[Tensor]:
        """The sound as it is made, in chunks (n,), sentence by sentence."""
        for i, phones in enumerate(self.sentences(text)):
            if i:
                yield torch.zeros(round(PAUSE_SECONDS * self.sample_rate))
            yield from self._faded(self._decode(self.lm.generate(self.prompt(phones, voice), sampling)))

    def timed(self, text: str, voice: Voice, sampling: Sampling = Sampling()) -> Timed:
        """What ``speak`` says, with the times of words and phones. UserError as by ``times``."""
        pieces, words, phones = [], [], []
        sentences = self.written(text)
        said = dict(self.say(sentences, [voice] * len(sentences), sampling))
        for i in range(len(sentences)):
            if i:
                pieces.append(torch.zeros(round(PAUSE_SECONDS * self.sample_rate)))
            begin, spoken = sum(map(len, pieces)) / self.sample_rate, said[i]
            pieces.append(spoken.wav)
            for kind, found in zip((words, phones), self.times(spoken.text, spoken.phones, spoken.begun)):
                kind += [interval.later(begin) for interval in found]
        return Timed(torch.cat(pieces), tuple(words), tuple(phones))

    def times(self, text: str, phones: Sequence[str], begun: Tensor) -> tuple[list[Interval], list[Interval]]:
        """When the words of a normalised sentence and its phones are said, in seconds, as finely as frames are.

        ``begun`` (N,) is ``Chunk.phones`` of its frames. UserError where the model does not know: one that reads its
        text otherwise than through a pointer.
        """
        if (begun < 0).any():
            raise UserError("this model does not know when it says what; take one that reads through a pointer")
        onsets = (onsets_of(begun, len(phones)) / self.codec.frame_rate).tolist()
        said = phone_intervals(phones, onsets, len(begun) / self.codec.frame_rate)
        words = [word for word, _ in self.phonemizer.words(text)]
        return word_intervals(said, SymbolTable.SEPARATORS, words), said

    @torch.inference_mode()
    def speak_batch(
        self, texts: Sequence[str], voices: Sequence[Voice], sampling: Sampling = Sampling()
    ) -> list[Tensor]:
        """One sound (T,) a text, each as ``speak`` gives it alone, generated several sentences at a time.

        ``sampling.seed`` may be a tuple with a seed for each text.
        """
        if len(texts) != len(voices):
            raise UserError(f"{len(texts)} texts but {len(voices)} voices; give one voice a text")
        rows = [self.written(text) for text in texts]
        seeds = tuple(seed for row, seed in zip(rows, sampling.seeds(len(rows))) for _ in row)
        owners = [voice for row, voice in zip(rows, voices) for _ in row]
        said = dict(self.say([sentence for row in rows for sentence in row], owners, replace(sampling, seed=seeds)))
        pause, wavs = torch.zeros(round(PAUSE_SECONDS * self.sample_rate)), (said[i].wav for i in range(len(said)))
        return [
            torch.cat([piece for i in range(len(row)) for piece in ([pause] if i else []) + [next(wavs)]])
            for row in rows
        ]

    def rows(self, prompts: Sequence[Utterances], sampling: Sampling = Sampling()) -> list[Row]:
        """Sentences that are spoken as one batch, each as it would sound alone. They are made as they are asked for:
        whichever row needs frames has the next ones of all of them made."""
        begun: list[list[int]] = [[] for _ in prompts]
        feeds = _split(self.lm.generate(stack(list(prompts)), sampling), begun)
        return [Row(self._faded(self._decode(feed)), phones) for feed, phones in zip(feeds, begun)]

    @torch.inference_mode()
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
            prompts = [self.prompt(phones[i], voices[i]) for i in batch]
            for i, row in zip(batch, self.rows(prompts, replace(sampling, seed=tuple(seeds[i] for i in batch)))):
                wav = torch.cat(list(row.sound))
                yield i, Spoken(sentences[i], tuple(phones[i]), wav, torch.tensor(row.begun), seeds[i])

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
        frames = torch.tensor([len(voice.frames)])
        return Utterances(
            text=torch.tensor([text]),
            text_lens=torch.tensor([len(text)]),
            frames=voice.frames[None],
            frame_lens=frames,
            prompt_lens=frames,
            prompt_text_lens=torch.tensor([len(voice.phones)]),
            starts=torch.tensor([[*voice.starts, *[0] * len(phones)]]),
        ).to(self.device)

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
        aligner, symbols = load_aligner(self.folder)
        wav = audio.resample(wav, self.sample_rate, aligner.config.sample_rate)
        return phones, aligner.align(torch.from_numpy(wav), symbols.ids(phones))[0]

    def _quiet_cut(self, wav: np.ndarray) -> int:
        """Where to end a reference: its whole length, or the quietest place in the last quarter of the allowed time."""
        limit = int(REFERENCE_SECONDS * self.sample_rate)
        if len(wav) <= limit:
            return len(wav)
        hop, first = self.sample_rate // 50, limit * 3 // 4
        levels = audio.frame_levels(wav[first:limit], self.sample_rate)
        smooth = np.convolve(levels, np.ones(5) / 5, mode="same")
        return first + int(smooth.argmin()) * hop

    def _decode(self, chunks: Iterator[Chunk]) -> Iterator[Tensor]:
        """Sound (n,) from one row's frames, a few at a time."""
        state, waiting, sizes = State(), [], iter(GROWTH)
        size = next(sizes)
        for chunk in chunks:
            waiting.append(chunk.frames)
            if len(waiting) == size:
                yield self._sound(waiting, state)
                waiting, size = [], next(sizes, size)
        if waiting:
            yield self._sound(waiting, state)

    @torch.inference_mode()
    def _sound(self, frames: list[Tensor], state: State) -> Tensor:
        return self.codec.decode(torch.cat(frames, dim=1), state)[0, 0].float().cpu()

    def _faded(self, chunks: Iterator[Tensor]) -> Iterator[Tensor]:
        """A sentence's sound with short fades at both ends. Only what may be its last samples is held back."""
        ramp = torch.linspace(0, 1, round(FADE_SECONDS * self.sample_rate))
        held = None
        for chunk in chunks:
            chunk = chunk.clone() if held is None else torch.cat([held, chunk])
            if held is None:
                chunk[: len(ramp)] *= ramp
            yield chunk[: -len(ramp)]
            held = chunk[-len(ramp) :]
        if held is not None:
            yield held * ramp.flip(0)


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
