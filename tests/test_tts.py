"""The model as people use it: clone, speak, stream, batch. With random weights it babbles, but by the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_model

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Voice
from latent_tts.lm.likeness import transported
from latent_tts.model_dir import load_aligner
from latent_tts.tts import FADE_SECONDS, PAUSE_SECONDS, QUIET, REFERENCE_SECONDS, TAIL_SECONDS, TTS, ended

QUICK = Sampling(steps=2, guidance=1.3)
TEXT = "Hello there. How are you?"


@pytest.fixture(scope="module", params=[(16000, "latent_lm"), (24000, "prefix_lm")], ids=str)
def tts(request, tmp_path_factory) -> TTS:
    sample_rate, lm = request.param
    return TTS.from_dir(tiny_model(tmp_path_factory.mktemp("model") / "tiny", sample_rate, lm=lm), engine="torch")


@pytest.fixture
def voice(tts: TTS, syllables: Callable[..., np.ndarray]) -> Voice:
    return tts.clone(syllables(), sample_rate=16000)


def assert_equal(one: np.ndarray, other: np.ndarray, tolerance: float = 1e-3) -> None:
    """The same sound, for any two ways of making it."""
    assert one.shape == other.shape
    assert np.abs(one - other).max() < tolerance * max(1.0, float(np.abs(one).max()))


class TestClone:
    def test_a_voice(self, tts, voice):
        assert voice.frames.shape[1] == tts.model.codec.frame_format.width and np.isfinite(voice.frames).all()
        assert 2.5 < len(voice.frames) / tts.model.codec.frame_rate < 3.3
        assert voice.phones == () and voice.starts == () and voice.model == tts.model_hash

    @pytest.mark.parametrize("kind", ["path", "str", "file", "list", "tensor", "stereo", "int16", "columns"])
    def test_every_kind_of_reference_is_the_same_voice(self, tts, voice, syllables, sound_file, kind):
        wav = syllables()
        path = sound_file("ref.wav", wav, 16000, subtype="FLOAT")
        reference, rate = {
            "path": (path, None),
            "str": (str(path), None),
            "file": (path.open("rb"), None),
            "list": (wav.tolist(), 16000),
            "tensor": (torch.from_numpy(wav), 16000),
            "stereo": (np.stack([wav, wav]), 16000),
            "int16": ((wav * 32767).round().astype(np.int16), 16000),
            "columns": (np.stack([wav * 2, wav * 0], axis=1), 16000),
        }[kind]
        found = tts.clone(reference, sample_rate=rate)
        assert_equal(found.frames, voice.frames, 2e-2)

    @pytest.mark.parametrize("rate", [8000, 22050, 48000])
    def test_the_rate_of_a_reference_does_not_matter(self, tts, syllables, rate):
        """A sound within the lowest band: its frames are nearly those of the same sound at another rate."""
        one, other = (tts.clone(syllables(3.0, r), sample_rate=r).frames for r in (16000, rate))
        assert abs(len(one) - len(other)) <= 1
        count = min(len(one), len(other)) - 1
        likeness = np.corrcoef(np.stack([one[:count].flatten(), other[:count].flatten()]))[0, 1]
        assert likeness > 0.9

    def test_samples_need_their_rate(self, tts, syllables):
        with pytest.raises(UserError, match="sample_rate="):
            tts.clone(syllables())

    @pytest.mark.parametrize(
        "spoil",
        [lambda w: w[:8000], lambda w: w * 0, lambda w: w * np.nan, lambda w: np.tile(w, (9, 1)), lambda w: w[:0]],
        ids=["short", "silent", "NaN", "nine channels", "empty"],
    )
    def test_what_is_no_reference(self, tts, syllables, spoil):
        with pytest.raises(UserError) as refused:
            tts.clone(spoil(syllables()), sample_rate=16000)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("reference", ["nowhere.wav", Path("nowhere.wav"), Path(".")])
    def test_what_is_no_file(self, tts, reference):
        with pytest.raises(UserError):
            tts.clone(reference)

    def test_a_long_reference_is_cut_where_it_is_quiet(self, tts, syllables):
        """Its syllables are silent every second half of half a second."""
        wav = syllables(20.0)
        frames = tts.clone(wav, sample_rate=16000).frames
        seconds = len(frames) / tts.model.codec.frame_rate
        assert 0.75 * REFERENCE_SECONDS <= seconds <= REFERENCE_SECONDS + 1 / tts.model.codec.frame_rate
        cut = tts._quiet_cut(audio.resample(wav, 16000, tts.sample_rate))
        assert np.abs(audio.resample(wav, 16000, tts.sample_rate)[cut : cut + 160]).max() < 1e-3
        assert_equal(tts.clone(wav[: 15 * 16000], sample_rate=16000).frames, frames, 2e-2)

    @pytest.mark.parametrize("seconds", [3.0, 12.0])
    def test_the_text_of_a_reference_is_aligned(self, tts, syllables, seconds):
        """Phones that begin within the part that is kept, in order; the aligner hears sound at its own rate."""
        wav, text = syllables(seconds), "Hello there, my friend."
        voice = tts.clone(wav, text=text, sample_rate=16000)
        phones = tts.phonemizer(text)
        assert 0 < len(voice.phones) == len(voice.starts) and list(voice.phones) == phones[: len(voice.phones)]
        assert (
            voice.starts[0] == 0 and list(voice.starts) == sorted(voice.starts) and voice.starts[-1] < len(voice.frames)
        )
        heard = audio.condition_reference(audio.resample(wav, 16000, tts.sample_rate), tts.sample_rate)
        aligner, symbols = load_aligner(tts.folder)
        at_its_rate = audio.resample(heard, tts.sample_rate, aligner.config.sample_rate)
        onsets, _ = aligner.align(torch.from_numpy(at_its_rate), symbols.ids(phones))
        assert list(voice.starts) == [int(t * tts.model.codec.frame_rate) for t in onsets][: len(voice.starts)]
        if seconds < REFERENCE_SECONDS:
            assert len(voice.phones) == len(phones)

    def test_a_rehearsed_voice(self, tts, voice, syllables):
        """The same but for its transport; what is said in it is moved by that and by nothing else."""
        rehearsed = tts.clone(syllables(), sample_rate=16000, rehearse=True)
        width = voice.frames.shape[1]
        assert voice.transport is None and rehearsed.transport.shape == (width + 1, width)
        assert np.isfinite(rehearsed.transport).all() and np.array_equal(rehearsed.frames, voice.frames)
        assert np.array_equal(tts.rehearsed(voice).transport, rehearsed.transport)
        (phones,) = tts.sentences("Hello.")
        as_made, moved = (
            np.concatenate([chunk.frames[0] for chunk in tts.frames(phones, rehearsed, replace(QUICK, likeness=much))])
            for much in (0, 0.5)
        )
        np.testing.assert_allclose(moved, transported(as_made, rehearsed.transport, 0.5), rtol=1e-4, atol=1e-4)
        alone = tts.speak("Hello.", rehearsed, QUICK)
        beside = tts.speak_batch(["How are you?", "Hello."], [voice, rehearsed], QUICK)[1]
        assert_equal(beside, alone)

    def test_a_model_with_nothing_to_say_cannot_rehearse(self, tts, voice, monkeypatch):
        monkeypatch.setattr(tts.model, "generate", lambda *_: iter(()))
        with pytest.raises(UserError, match="says nothing in this voice"):
            tts.rehearsed(voice)

    @pytest.mark.parametrize("text", ["", "   ", None])
    def test_an_empty_text_is_none(self, tts, voice, syllables, text):
        assert np.array_equal(tts.clone(syllables(), text=text, sample_rate=16000).frames, voice.frames)

    def test_a_text_far_too_long(self, tts, syllables):
        with pytest.raises(UserError, match="too short for its text"):
            tts.clone(syllables(1.2), text="Hello there, my friend. " * 8, sample_rate=16000)


def last_sound(wav: np.ndarray) -> int:
    return int(np.flatnonzero(np.abs(wav) >= QUIET)[-1]) + 1


class TestSpeak:
    def test_a_sound(self, tts, voice):
        wav = tts.speak("Hello.", voice, QUICK)
        assert wav.ndim == 1 and wav.dtype == np.float32 and np.isfinite(wav).all() and np.abs(wav).max() > 1e-4
        assert len(wav) < 60 * tts.sample_rate

    def test_a_seed_is_a_sound(self, tts, voice):
        first, again, other = (tts.speak(TEXT, voice, replace(QUICK, seed=s)) for s in (1, 1, 2))
        assert np.array_equal(first, again)
        assert first.shape != other.shape or not np.allclose(first, other, atol=1e-3)

    def test_voices_differ(self, tts, voice, syllables):
        other = tts.clone(np.random.default_rng(0).normal(size=32000) * syllables(2.0), sample_rate=16000)
        one, two = tts.speak("Hello.", voice, QUICK), tts.speak("Hello.", other, QUICK)
        assert one.shape != two.shape or not np.allclose(one, two, atol=1e-3)

    def test_a_stream_is_the_sound(self, tts, voice):
        """It begins with a single frame, less what fades if it is the last, and its chunks are the whole."""
        chunks, ramp = list(tts.stream(TEXT, voice, QUICK)), round(FADE_SECONDS * tts.sample_rate)
        assert len(chunks) > 4 and len(chunks[0]) == tts.model.codec.hop_length - ramp
        assert np.array_equal(np.concatenate(chunks), tts.speak(TEXT, voice, QUICK))

    def test_the_sound_is_that_of_the_frames(self, tts, voice):
        """Kept like the voice and decoded at once, between the fades and to a while behind its last sound."""
        (phones,) = tts.sentences("How are you today?")
        frames = np.concatenate([chunk.frames[0] for chunk in tts.frames(phones, voice, QUICK)])
        wanted, ramp = tts.model.decode(frames, {}), round(FADE_SECONDS * tts.sample_rate)
        wav = tts.speak("How are you today?", voice, QUICK)
        assert len(wav) > 3 * tts.model.codec.hop_length  # more than one piece: see GROWTH
        assert len(wav) == min(len(wanted), last_sound(wanted) + round(TAIL_SECONDS * tts.sample_rate))
        assert_equal(wav[ramp:-ramp], wanted[ramp : len(wav) - ramp])

    @pytest.mark.parametrize("size", [1, 30, 400, 2000])
    def test_a_sentence_ends_behind_its_last_sound(self, size):
        """However it comes; what is quiet within it stays, and where there is nothing but quiet all of it."""
        sound = np.concatenate([np.full(n, level, np.float32) for n, level in ((500, 0.1), (900, 1e-4), (7, -0.1))])
        quiet, cuts = np.full(700, 1e-4, np.float32), range(size, 2107, size)
        chunks = np.split(np.concatenate([sound, quiet]), cuts)
        assert np.array_equal(np.concatenate(list(ended(iter(chunks), 200))), [*sound, *quiet[:200]])
        assert np.array_equal(np.concatenate(list(ended(iter(np.split(quiet, range(size, 700, size))), 200))), quiet)

    def test_a_stream_comes_as_it_is_made(self, tts, voice, monkeypatch):
        """The first chunk is out before the model has made the frames of the second one."""
        made, sample = [], tts.model.lm.head.sample
        monkeypatch.setattr(tts.model.lm.head, "sample", lambda *args: (made.append(1), sample(*args))[1])
        stream = tts.stream(TEXT, voice, QUICK)
        next(stream)
        assert len(made) == 1
        list(stream)
        assert len(made) > 10

    def test_two_streams_do_not_meet(self, tts, voice):
        texts = ["Hello there.", "How are you today?"]
        streams, pieces = [tts.stream(text, voice, QUICK) for text in texts], ([], [])
        alive = [0, 1]
        while alive:
            for i in list(alive):
                chunk = next(streams[i], None)
                if chunk is None:
                    alive.remove(i)
                else:
                    pieces[i].append(chunk)
        for text, piece in zip(texts, pieces):
            assert np.array_equal(np.concatenate(piece), tts.speak(text, voice, QUICK))

    def test_sentences_are_joined_without_clicks(self, tts, voice):
        """Each is what it is alone, fades in and out, and a pause stands between two."""
        one, two, both = (tts.speak(t, voice, QUICK) for t in ("Hello there.", "How are you?", TEXT))
        pause = round(PAUSE_SECONDS * tts.sample_rate)
        assert np.array_equal(both, np.concatenate([one, np.zeros(pause), two]))
        ramp = round(FADE_SECONDS * tts.sample_rate)
        for sentence in (one, two):
            assert sentence[0] == 0 == sentence[-1]
            assert np.abs(sentence[: ramp // 10]).max() <= 0.1 * np.abs(sentence).max()
            assert np.abs(sentence[-ramp // 10 :]).max() <= 0.1 * np.abs(sentence).max()

    def test_a_voice_with_its_text_speaks_only_what_is_asked(self, tts, syllables):
        """Its phones are a prompt: a sentence takes about as long with them as without."""
        plain, known = (tts.clone(syllables(), text=t, sample_rate=16000) for t in (None, "Hello there, my friend."))
        lengths = [len(tts.speak(TEXT, v, QUICK)) / tts.sample_rate for v in (plain, known)]
        assert 0.4 < lengths[1] / lengths[0] < 2.5

    def test_a_saved_voice_speaks_alike(self, tts, syllables, tmp_path):
        voice = tts.clone(syllables(), text="Hello there.", sample_rate=16000)
        voice.save(tmp_path / "a.voice")
        again = tts.speak("Hello.", Voice.load(tmp_path / "a.voice").renamed("Ann"), QUICK)
        assert np.array_equal(again, tts.speak("Hello.", voice, QUICK))

    def test_a_voice_of_another_model_is_refused(self, tts, voice, tmp_path):
        other = TTS.from_dir(tiny_model(tmp_path / "other", tts.sample_rate, seed=1), engine="torch")
        for speak in (other.speak, lambda text, voice: other.speak_batch([text], [voice])):
            with pytest.raises(UserError, match="'Ann' was made by another model"):
                speak("Hello.", voice.renamed("Ann"))

    @pytest.mark.parametrize("text", ["", "  ", "...", "?! —", "\U0001f642", "你好"])
    def test_nothing_to_speak(self, tts, voice, text):
        for speak in (tts.speak, lambda text, voice: tts.speak_batch(["Hello.", text], [voice] * 2)):
            with pytest.raises(UserError) as refused:
                speak(text, voice)
            assert "\n" not in str(refused.value)

    def test_sentences_without_words_are_passed_over(self, tts, voice):
        some, none = tts.sentences("Hello. ... \U0001f642! How are you?"), tts.sentences("Hello. How are you?")
        assert len(some) == 2 and [phones[:-1] for phones in some] == [phones[:-1] for phones in none]

    def test_a_lexicon_is_followed(self, tts, tmp_path):
        (tmp_path / "words.txt").write_text("zorp z ˈoʊ p\n", "utf-8")
        own = TTS.from_dir(tts.folder, lexicon=tmp_path / "words.txt", engine="torch")
        assert own.sentences("Zorp.") == [["_", "z", "ˈoʊ", "p", "."]]


class TestTimes:
    def test_a_sound_with_its_times(self, tmp_path, syllables):
        tts = TTS.from_dir(tiny_model(tmp_path / "tiny"), engine="torch")
        voice = tts.clone(syllables(), text="My friend.", sample_rate=16000)
        timed, text = tts.timed(TEXT, voice, QUICK), "Hello there."
        assert_equal(timed.wav, tts.speak(TEXT, voice, QUICK))
        assert [word.label for word in timed.words] == ["Hello", "there", "How", "are", "you"]
        assert [phone.label for phone in timed.phones] == sum(tts.sentences(TEXT), [])
        for spoken in (timed.words, timed.phones):
            assert all(one.end <= other.begin for one, other in zip(spoken, spoken[1:]))
            assert all(begin < end for begin, end, _ in spoken)
        first, alone = len(tts.sentences(text)[0]), tts.speak(text, voice, QUICK)
        assert timed.phones[0].begin == 0 and timed.phones[first - 1].end == pytest.approx(len(alone) / 16000)
        assert timed.phones[first].begin == pytest.approx(len(alone) / 16000 + PAUSE_SECONDS)
        assert timed.phones[-1].end == pytest.approx(len(timed.wav) / 16000)

    def test_a_prefix_knows_none(self, tmp_path, syllables):
        tts = TTS.from_dir(tiny_model(tmp_path / "tiny", lm="prefix_lm"), engine="torch")
        with pytest.raises(UserError, match="one that reads through a pointer"):
            tts.timed(TEXT, tts.clone(syllables(), sample_rate=16000), QUICK)


class TestBatch:
    def test_a_batch_is_its_rows(self, tts, syllables):
        """Texts and voices of every kind, more sentences than fit a batch."""
        plain, known = (tts.clone(syllables(s), text=t, sample_rate=16000) for s, t in ((2.0, None), (4.0, "Hello.")))
        texts = ["Hello.", "One. Two. Three.", "How are you today, my friend?", TEXT, "No. Yes. No."]
        voices = [plain, known, plain, known, known]
        together = tts.speak_batch(texts, voices, replace(QUICK, seed=4))
        assert len({len(wav) for wav in together}) > 2
        for wav, text, voice in zip(together, texts, voices):
            assert_equal(wav, tts.speak(text, voice, replace(QUICK, seed=4)))

    def test_every_row_may_have_its_seed(self, tts, voice):
        texts, seeds = ["Hello.", "One. Two.", "Hello."], (7, 0, 8)
        together = tts.speak_batch(texts, [voice] * 3, replace(QUICK, seed=seeds))
        for wav, text, seed in zip(together, texts, seeds):
            assert_equal(wav, tts.speak(text, voice, replace(QUICK, seed=seed)))
        assert together[0].shape != together[2].shape or not np.allclose(together[0], together[2], atol=1e-3)
        with pytest.raises(UserError, match="3 seeds for 2 rows"):
            tts.speak_batch(texts[:2], [voice] * 2, replace(QUICK, seed=seeds))

    def test_sentences_tell_their_phones_and_times(self, tts, voice):
        sentences = tts.written("Hello there. No.")
        said = dict(tts.say(sentences, [voice] * 2, QUICK))
        for i, sentence in enumerate(sentences):
            spoken = said[i]
            assert spoken.text == sentence and list(spoken.phones) == tts.phonemizer(sentence)
            assert len(spoken.begun) * tts.model.codec.hop_length >= len(spoken.wav) > 0
            if tts.model.lm.decision != "stop":
                assert all(phone.end <= len(spoken.wav) / tts.sample_rate for phone in tts.times(spoken)[1])
            known = -1 if tts.model.lm.decision == "stop" else len(spoken.phones)  # a prefix knows no places
            assert spoken.begun[-1] == known and (np.diff(spoken.begun) >= 0).all()

    def test_as_many_voices_as_texts(self, tts, voice):
        with pytest.raises(UserError, match="2 texts but 1 voices"):
            tts.speak_batch(["Hello.", "Hello."], [voice])
        assert tts.speak_batch([], []) == []
