"""Many users and one model: a thread owns it and speaks the sentences that wait, several as one batch."""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple, TypeVar

import numpy as np

from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Voice
from latent_tts.tts import PAUSE_SECONDS, ROWS, TTS, Row

BATCHES = 2  # spoken in turns, so that a sentence that comes now need not wait for the end of the others
PHONES = 8192  # of one text: a bound on the sound that it makes
AHEAD_SECONDS = 30.0  # of sound that a user has not taken yet; then the next sentence waits

ENDED = "the model's thread has ended"

T = TypeVar("T")
log = logging.getLogger(__name__)


class Busy(Exception):
    """As many texts are being spoken as may be; ``seconds`` is a guess at when to ask again."""

    def __init__(self, seconds: int):
        super().__init__(f"too many texts are being spoken; ask again in {seconds} s")
        self.seconds = seconds


class Sentence(NamedTuple):
    """What is to be said in one go."""

    phones: list[str]
    voice: Voice


class Speech:
    """A text that is being spoken: ``async for`` gives its sound in chunks (n,), once. ``close`` it in any case.

    ``phones`` counts what is to be said, ``frames`` what was made; ``marks`` says at which second of the sound each
    phone of the sentences that are finished begins.
    """

    def __init__(self, scheduler: Scheduler, sampling: Sampling):
        self.sampling = sampling
        self.phones = self.frames = 0
        self.marks: list[tuple[float, str]] = []
        self.made = self._taken = 0  # samples
        self.left: deque[Sentence] = deque()
        self.closed, self.began = False, time.monotonic()
        self._scheduler = scheduler
        self._loop, self._chunks = asyncio.get_running_loop(), asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[np.ndarray]:
        while (chunk := await self._chunks.get()) is not None:
            if isinstance(chunk, Exception):
                raise chunk
            waited = self.is_ahead
            self._taken += len(chunk)
            if waited and not self.is_ahead:
                self._scheduler.nudge()
            yield chunk

    def close(self) -> None:
        """Make no more of it, and room for another."""
        if not self.closed:
            self.closed = True
            self._scheduler.forget(self)

    @property
    def is_ahead(self) -> bool:
        """Whether enough sound waits to be taken."""
        return self.made - self._taken > AHEAD_SECONDS * self._scheduler.tts.sample_rate

    def put(self, chunk: np.ndarray | Exception | None) -> None:
        """Hand over sound, an error or, as None, the end."""
        self.made += len(chunk) if isinstance(chunk, np.ndarray) else 0
        with suppress(RuntimeError):  # the loop is no more: nobody listens
            self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)

    def mark(self, phones: list[str], begun: list[int], start: int) -> None:
        """Note when the phones of a sentence began whose sound starts at the sample ``start``."""
        tts = self._scheduler.tts
        onsets = [next((n for n, count in enumerate(begun) if count > i), len(begun)) for i in range(len(phones))]
        self.marks += [(start / tts.sample_rate + n / tts.model.frame_rate, phone) for n, phone in zip(onsets, phones)]
        self.frames += len(begun)


class _Spoken(NamedTuple):
    """A row of a batch: a sentence of a speech, which begins at its sample ``start``."""

    speech: Speech
    sentence: Sentence
    start: int
    row: Row


class Scheduler:
    """Speaks up to ``most`` texts at a time, each as it would sound alone.

    Sentences that wait and are drawn alike (equal ``Sampling``) form a batch of at most ``ROWS``, one of each speech,
    first come, first served; a speech of more sentences queues again after each. ``BATCHES`` batches advance in turns,
    a few frames at a time. Everything about them is touched by one thread only; others give it tasks.
    """

    def __init__(self, tts: TTS, most: int = 16):
        if most < 1:
            raise UserError(f"the queue has room for {most} texts; give --queue 1 or more")
        self.tts, self.most = tts, most
        self.waiting: deque[Speech] = deque()
        self.batches: list[list[_Spoken]] = []
        self._pause = np.zeros(round(PAUSE_SECONDS * tts.sample_rate), np.float32)
        self._open: set[Speech] = set()
        self._seconds = 1.0  # that a speech takes
        self._tasks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="latent_tts", daemon=True)
        self._thread.start()

    async def speak(self, text: str, voice: Voice, sampling: Sampling = Sampling()) -> Speech:
        """Begin to speak. UserError for a text that cannot be spoken in this voice, Busy where there is no room."""
        self._check_alive()
        if self.speeches >= self.most:
            raise Busy(max(1, math.ceil(self._seconds)))
        speech = Speech(self, sampling)
        self._open.add(speech)
        try:
            speech.left.extend(await asyncio.to_thread(self._sentences, text, voice))
        except BaseException:
            speech.close()
            raise
        speech.phones = sum(len(sentence.phones) for sentence in speech.left)
        self._tasks.put(lambda: self.waiting.append(speech))
        return speech

    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Run what uses the model on the thread that owns it."""
        self._check_alive()
        future: Future[T] = Future()

        def task() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*arguments))
                except Exception as error:
                    future.set_exception(error)

        self._tasks.put(task)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the thread and with it every speech."""
        self._tasks.put(None)
        self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def speeches(self) -> int:
        """How many texts are being spoken or wait for it."""
        return len(self._open)

    def forget(self, speech: Speech) -> None:
        """What ``Speech.close`` asks for."""
        self._open.discard(speech)
        self._seconds += 0.2 * (time.monotonic() - speech.began - self._seconds)

    def nudge(self) -> None:
        """Have the thread look again at what waits."""
        self._tasks.put(lambda: None)

    def _check_alive(self) -> None:
        if not self.alive:
            raise RuntimeError(ENDED)

    def _sentences(self, text: str, voice: Voice) -> list[Sentence]:
        self.tts.prompt([], voice)  # refuses a voice of another model
        sentences = [Sentence(phones, voice) for phones in self.tts.sentences(text)]
        count = sum(len(sentence.phones) for sentence in sentences)
        if count > PHONES:
            raise UserError(f"the text has {count} phones, numbers written out; give at most {PHONES} at a time")
        return sentences

    def _work(self) -> None:
        try:
            while self._do_tasks():
                while len(self.batches) < BATCHES and self._start():
                    pass
                self.batches = [batch for batch in map(self._advanced, self.batches) if batch]
        finally:
            for speech in list(self._open):
                speech.put(RuntimeError(ENDED))

    def _do_tasks(self) -> bool:
        """Whatever others asked for; waits for that while there is nothing to speak. False once it is time to end."""
        self.waiting = deque(speech for speech in self.waiting if not speech.closed)
        idle = not self.batches and all(speech.is_ahead for speech in self.waiting)
        with suppress(queue.Empty):
            while (task := self._tasks.get(block=idle)) is not None:
                task()
                idle = False
            return False
        return True

    def _start(self) -> bool:
        """Form a batch of what has waited longest and of those who are drawn like it."""
        ready = [speech for speech in self.waiting if not speech.is_ahead]
        chosen = [speech for speech in ready if speech.sampling == ready[0].sampling][:ROWS]
        for speech in chosen:
            self.waiting.remove(speech)
        if not chosen:
            return False
        sentences = [speech.left.popleft() for speech in chosen]
        rows = self.tts.rows(*zip(*sentences), chosen[0].sampling)
        for speech in chosen:
            if speech.made:
                speech.put(self._pause)
        self.batches.append([_Spoken(s, sentence, s.made, row) for s, sentence, row in zip(chosen, sentences, rows)])
        return True

    def _advanced(self, batch: list[_Spoken]) -> list[_Spoken]:
        """The rows that are left after each has had its turn. An error ends the speeches of its batch, and no other."""
        try:
            return [spoken for spoken in batch if self._advance(spoken)]
        except Exception as error:
            log.exception("a batch failed")
            for spoken in batch:
                spoken.speech.put(error)
            return []

    def _advance(self, spoken: _Spoken) -> bool:
        """Make the next chunk of a row, or see that it has ended."""
        speech, sentence, start, row = spoken
        if speech.closed:
            return False
        chunk = next(row.sound, None)
        if chunk is not None:
            speech.put(chunk)
            return True
        speech.mark(sentence.phones, row.begun, start)
        if speech.left:
            self.waiting.append(speech)
        else:
            speech.put(None)
        return False
