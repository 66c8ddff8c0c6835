"""Performances: every part in its voice and at its rate, silences where they were asked for, words with their times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latent_tts.errors import UserError
from latent_tts.frames import Sampling
from latent_tts.studio.perform import LONGEST_TEXT, Performance, perform, perform_all, read_parts, script_of, stream
from latent_tts.studio.takes import Booth, Take
from latent_tts.tts import PAUSE_SECONDS, Spoken

QUICK = Sampling(steps=2, guidance=1.0)


@pytest.fixture
def cast(tts, voice, syllables):
    """Anna has another voice than the one that is given."""
    import numpy as np

    noise = np.random.default_rng(0).normal(size=32000).astype(np.float32)
    voices = {"": voice, "anna": tts.clone(noise * syllables(2.0), sample_rate=16000)}

    def find(name: str):
        if name not in voices:
            raise UserError(f"no voice {name!r}")
        return voices[name]

    return find


def test_a_plain_text_is_what_speak_gives(tts, voice, cast):
    text = "Hello there. How are you?"
    performance = perform(Booth(tts), script_of(tts, read_parts(text), cast, QUICK))
    assert np.allclose(performance.wav, tts.speak(text, voice, QUICK), atol=1e-3)
    assert performance.starts[0] == 0.0 and [take.spoken.text for take in performance.takes] == tts.written(text)


def test_parts_are_said_as_marked(tts, voice, cast):
    text = "One.[pause:0.5s][voice:anna]Two.[voice:][rate:2]Three is this.[pause:1s]"
    performance = perform(Booth(tts), script_of(tts, read_parts(text), cast, QUICK))
    one, two = tts.speak("One.", voice, QUICK), tts.speak("Two.", cast("anna"), QUICK)
    three = tts.speak("Three is this.", voice, replace(QUICK, speed=2.0))
    silences = [np.zeros(round(seconds * tts.sample_rate)) for seconds in (0.5, PAUSE_SECONDS, 1.0)]
    whole = np.concatenate([one, silences[0], two, silences[1], three, silences[2]])
    assert performance.wav.shape == whole.shape and np.allclose(performance.wav, whole, atol=1e-3)
    assert performance.starts[1] == pytest.approx(len(one) / tts.sample_rate + 0.5)
    streamed = np.concatenate(list(stream(tts, read_parts(text), cast, QUICK)))
    assert streamed.shape == whole.shape and np.allclose(streamed, whole, atol=1e-3)


def test_words_have_times_within_their_sentence(tts, cast):
    performance = perform(Booth(tts), script_of(tts, read_parts("Hello there, my friend. Yes."), cast, QUICK))
    first, second = performance.words(tts)
    assert [word.label for word in first] == ["Hello", "there", "my", "friend"] and len(second) == 1
    times = [time for word in first for time in word[:2]]
    assert times == sorted(times) and times[-1] <= performance.starts[1]
    assert performance.starts[1] <= second[0].begin < second[0].end <= len(performance.wav) / tts.sample_rate


def said(tts, begun: list[int]) -> Performance:
    """A sentence of whose phones so many have begun by the end of each frame, 2 s into a sound."""
    wav = np.zeros(len(begun) * tts.model.hop_length, np.float32)
    spoken = Spoken("Hi, you.", tuple(tts.phonemizer("Hi, you.")), wav, np.array(begun), seed=0)
    return Performance(spoken.wav, [Take(spoken, None, 1)], [2.0])


def test_words_are_as_fine_as_their_phones(tts):
    """The "h" is in the middle of frame 1, the pause in that of frame 4; both phones of "you" share frame 7, so the
    first is at its quarter; the "." is in the middle of frame 9."""
    assert tts.phonemizer("Hi, you.") == "_ h ˈaɪ , j uː .".split() and tts.model.frame_rate == 12.5
    ((hi, you),) = said(tts, [1, 2, 3, 3, 4, 4, 4, 6, 6, 7, 7]).words(tts)
    assert hi == (pytest.approx(2 + 1.5 / 12.5), pytest.approx(2 + 4.5 / 12.5), "Hi")
    assert you == (pytest.approx(2 + 7.25 / 12.5), pytest.approx(2 + 9.5 / 12.5), "you")


def test_a_model_without_times_has_no_captions(tts):
    with pytest.raises(UserError, match="does not know when it says what; leave captions out") as refused:
        said(tts, [-1] * 11).words(tts)
    assert "\n" not in str(refused.value)


def test_scripts_spoken_together_are_each_itself(tts, cast):
    texts, seeds = ["Hello there.", "[voice:anna]Yes. [rate:1.5] No, no.", "How are you?"], [3, 4, 5]
    scripts = [script_of(tts, read_parts(t), cast, replace(QUICK, seed=s)) for t, s in zip(texts, seeds)]
    for script, together in zip(scripts, perform_all(Booth(tts), scripts)):
        alone = perform(Booth(tts), script)
        assert alone.wav.shape == together.wav.shape and np.allclose(alone.wav, together.wav, atol=1e-3)


@pytest.mark.parametrize(
    "text, form, complaint",
    [
        ("[voice:bob]Hi.", "auto", "no voice 'bob'"),
        ("[rate:4]Hi.", "auto", "speed is 8"),
        ("...[pause:1s]?", "auto", "nothing to speak"),
        ("<speak>a<audio/></speak>", "auto", "<audio> cannot"),
        ("Hi.", "dialogue", "has no speaker"),
        ("7" * 100_000, "auto", f"over {LONGEST_TEXT} characters"),
    ],
)
def test_what_is_refused(tts, cast, text, form, complaint):
    with pytest.raises(UserError, match=complaint):
        script_of(tts, read_parts(text, form), cast, replace(QUICK, speed=2.0))


def test_plain_text_may_hold_anything(tts, cast):
    assert read_parts("[pause:1s] Hi", "plain")[0].text == "[pause:1s] Hi"
