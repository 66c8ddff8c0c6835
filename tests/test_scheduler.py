"""Many users and one model: nobody hears anybody else, nobody starves, and who leaves makes room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_model

from latent_tts import scheduler as scheduling
from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Voice
from latent_tts.scheduler import Busy, Scheduler, Speech
from latent_tts.tts import ROWS, TTS

QUICK = Sampling(steps=2, guidance=1.3)
TEXT = "Hello there. How are you?"


@pytest.fixture(scope="module")
def tts(tmp_path_factory) -> TTS:
    return TTS.from_dir(tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def voices(tts: TTS, syllables: Callable[..., np.ndarray]) -> list[Voice]:
    noise = np.random.default_rng(0).normal(size=48000).astype(np.float32)
    return [tts.clone(wav, sample_rate=16000) for wav in (syllables(2.0), syllables(3.0) * noise)]


@pytest.fixture
def scheduler(tts: TTS):
    scheduler = Scheduler(tts, most=12)
    yield scheduler
    scheduler.close()
    assert not scheduler.alive


async def heard(speech: Speech) -> np.ndarray:
    try:
        return np.concatenate([chunk async for chunk in speech])
    finally:
        speech.close()


def run(coroutine: Coroutine) -> object:
    return asyncio.run(asyncio.wait_for(coroutine, 120))


def assert_equal(one: np.ndarray, other: np.ndarray) -> None:
    """Sample for sample, but for what a matrix product of several rows rounds otherwise: no more than a tenth of a
    step of 16 bits."""
    assert one.shape == other.shape and np.abs(one - other).max() < 0.1 / 32768 * max(1.0, np.abs(other).max())


def test_alone_it_is_the_sound(scheduler, tts, voices):
    async def alone() -> np.ndarray:
        return await heard(await scheduler.speak(TEXT, voices[0], QUICK))

    assert np.array_equal(run(alone()), tts.speak(TEXT, voices[0], QUICK))


def test_users_are_never_mixed(scheduler, tts, voices):
    """Two voices and several ways of drawing at once: each sounds as it does alone, sample for sample."""
    requests = [
        (f"Yes. {word}.", voices[i % 2], replace(QUICK, seed=i // 4))
        for i, word in enumerate("One Hello Three Seven No Eleven".split())
    ]
    sizes = []

    async def together() -> list[np.ndarray]:
        rows = tts.rows
        tts.rows = lambda phones, *given: (sizes.append(len(phones)), rows(phones, *given))[1]
        speeches = [await scheduler.speak(*request) for request in requests]
        return await asyncio.gather(*map(heard, speeches))

    try:
        sounds = run(together())
    finally:
        del tts.rows
    assert 1 < max(sizes) <= ROWS and sum(sizes) == 2 * len(requests)
    for sound, request in zip(sounds, requests):
        assert_equal(sound, tts.speak(*request))


def test_a_short_text_need_not_wait_for_a_long_one(scheduler, voices):
    ended = []

    async def listen(name: str, text: str) -> None:
        await heard(await scheduler.speak(text, voices[0], QUICK))
        ended.append(name)

    async def both() -> None:
        long = [asyncio.create_task(listen("long", " ".join([TEXT] * 2))) for _ in range(2)]
        await asyncio.sleep(0.05)
        await listen("short", "Yes.")
        await asyncio.gather(*long)

    run(both())
    assert ended == ["short", "long", "long"]


def test_no_more_than_there_is_room_for(tts, voices):
    scheduler = Scheduler(tts, most=2)

    async def crowd() -> None:
        first, second = [await scheduler.speak("Hello.", voice, QUICK) for voice in voices]
        with pytest.raises(Busy) as refused:
            await scheduler.speak("Hello.", voices[0], QUICK)
        assert refused.value.seconds >= 1
        first.close()
        await heard(await scheduler.speak("Hello.", voices[0], QUICK))
        second.close()
        assert scheduler.speeches == 0

    run(crowd())
    scheduler.close()


def test_who_leaves_is_no_longer_spoken_to(scheduler, voices):
    async def leave() -> int:
        speech = await scheduler.speak(" ".join([TEXT] * 20), voices[0], QUICK)
        async for _ in speech:
            break
        speech.close()
        await scheduler.call(int)
        made = speech.made
        await asyncio.sleep(0.3)
        assert speech.made == made and not scheduler.batches and not scheduler.waiting
        return len(speech.left)

    assert run(leave()) > 30


def test_sound_that_nobody_takes_is_bounded(scheduler, voices, monkeypatch):
    """The text waits after a few sentences, goes on when its sound is taken, and is whole in the end."""
    monkeypatch.setattr(scheduling, "AHEAD_SECONDS", 0.5)

    async def slow() -> None:
        speech = await scheduler.speak(" ".join(["Yes."] * 14), voices[0], QUICK)
        while not speech.is_ahead or scheduler.batches:
            await asyncio.sleep(0.02)
        left = len(speech.left)
        await asyncio.sleep(0.2)
        assert len(speech.left) == left > 10
        sound = await heard(speech)
        assert not speech.left and len(sound) == speech.made

    run(slow())


@pytest.mark.parametrize("text", ["", "...", "1234567890 " * 400])
def test_what_cannot_be_spoken(scheduler, voices, text):
    async def refused() -> None:
        with pytest.raises(UserError):
            await scheduler.speak(text, voices[0], QUICK)
        with pytest.raises(UserError, match="another model"):
            await scheduler.speak("Hello.", replace(voices[0], model="other"), QUICK)

    run(refused())
    assert scheduler.speeches == 0


def test_a_failure_is_that_of_its_batch(scheduler, tts, voices, monkeypatch):
    async def fail() -> np.ndarray:
        with monkeypatch.context() as patch:
            patch.setattr(tts.model, "decode", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await heard(await scheduler.speak("Hello.", voices[0], QUICK))
        return await heard(await scheduler.speak("Hello.", voices[0], QUICK))

    assert len(run(fail())) > 0 and scheduler.alive and scheduler.speeches == 0


def test_marks_say_when_phones_begin(scheduler, tts, voices):
    async def marks() -> Speech:
        speech = await scheduler.speak(TEXT, voices[0], QUICK)
        assert len(await heard(speech)) == speech.made
        return speech

    speech = run(marks())
    onsets, phones = zip(*speech.marks)
    assert list(phones) == [phone for sentence in tts.sentences(TEXT) for phone in sentence]
    assert list(onsets) == sorted(onsets) and onsets[-1] <= speech.made / tts.sample_rate
    assert speech.phones == len(phones) and speech.frames < speech.made / tts.model.hop_length
    first = len(tts.sentences(TEXT)[0])
    second = len(tts.speak("Hello there.", voices[0], QUICK)) / tts.sample_rate
    assert onsets[first - 1] <= second < onsets[first]


def test_a_call_is_answered_between_chunks(scheduler, voices):
    """Also while a long text is spoken; an error comes back to who asked."""

    async def ask() -> float:
        speech = await scheduler.speak(" ".join([TEXT] * 20), voices[0], QUICK)
        began = time.monotonic()
        assert await scheduler.call(divmod, 7, 2) == (3, 1)
        took = time.monotonic() - began
        with pytest.raises(ZeroDivisionError):
            await scheduler.call(divmod, 7, 0)
        assert speech.left
        speech.close()
        return took

    assert run(ask()) < 2


def test_the_end_ends_every_speech(tts, voices):
    scheduler = Scheduler(tts)

    async def end() -> None:
        speech = await scheduler.speak(" ".join([TEXT] * 20), voices[0], QUICK)
        await asyncio.to_thread(scheduler.close)
        with pytest.raises(RuntimeError, match="ended"):
            await heard(speech)
        for ask in (scheduler.speak("Hello.", voices[0]), scheduler.call(int)):
            with pytest.raises(RuntimeError, match="ended"):
                await ask

    run(end())
