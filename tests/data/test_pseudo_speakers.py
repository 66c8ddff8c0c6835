"""Other voices of a recording: pitch and length move as they are told to, and every sound stays at its time."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.signal import lfilter
from torch.nn import functional as F

from latent_tts.data.clips import Clip
from latent_tts.data.pseudo_speakers import PseudoSpeaker, stretched, with_formants_moved
from latent_tts.errors import UserError

RATE = 16000
VOICES = ["1", "0.9", "1.09:0.95", "1.1:1.1", "1:1.25", "0.9:0.8", "1:1:1.12", "1.1:1.1:0.9"]


def pitch(wav: np.ndarray) -> float:
    """Hz, from the autocorrelation of the middle half second."""
    middle = wav[len(wav) // 2 :][: RATE // 2].astype(np.float64)
    spectrum = np.fft.rfft(middle, 2 * len(middle))
    similar = np.fft.irfft(np.abs(spectrum) ** 2)
    lags = np.arange(RATE // 300, RATE // 70)
    return RATE / lags[similar[lags].argmax()]


@pytest.mark.parametrize("name", VOICES)
def test_pitch_follows_the_factor_and_length_both(name, syllables):
    voice, wav = PseudoSpeaker.parse(name), syllables(3.0)
    said = voice.speak(wav, RATE)
    assert str(voice) == name and said.dtype == np.float32
    assert len(said) == pytest.approx(len(wav) * voice.stretch / voice.factor, abs=2)
    assert pitch(wav) == pytest.approx(120, rel=0.01) and pitch(said) == pytest.approx(120 * voice.factor, rel=0.02)
    assert np.square(said).mean() == pytest.approx(np.square(wav).mean(), rel=0.1)


def test_stretching_leaves_no_seams():
    """A steady tone stays one: nothing but its harmonics, at its level."""
    tone = np.sin(2 * np.pi * 200 * np.arange(2 * RATE) / RATE).astype(np.float32)
    for factor in (0.8, 1.3):
        steady = stretched(tone, factor, RATE)[RATE // 4 : RATE // 4 + RATE].astype(np.float64)
        spectrum = np.abs(np.fft.rfft(steady * np.hanning(RATE))) ** 2
        assert spectrum[195:206].sum() > 0.999 * spectrum.sum()
        assert np.square(steady).mean() == pytest.approx(0.5, rel=0.01)


def through_a_mouth(pitch: float, resonances: list[float]) -> np.ndarray:
    """Two seconds of clicks, ``pitch`` a second, heard through resonances (Hz) 80 Hz wide."""
    sound = np.zeros(2 * RATE)
    sound[np.round(np.arange(0, 2, 1 / pitch) * RATE).astype(int)[:-1]] = 1
    for resonance in resonances:
        pole = np.exp(np.pi * (-80 + 2j * resonance) / RATE)
        sound = lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], sound)
    return (0.1 * sound / np.abs(sound).max()).astype(np.float32)


def harmonics(wav: np.ndarray, pitch: int) -> np.ndarray:
    """Levels in dB, from the second to that at 3.2 kHz, of the second in the middle."""
    power = np.abs(np.fft.rfft(wav[RATE // 2 :][:RATE] * np.hanning(RATE))) ** 2  # one for every Hz
    return 10 * np.log10([power[place - 3 : place + 4].sum() for place in range(2 * pitch, 3200, pitch)])


@pytest.mark.parametrize("factor", [0.85, 0.93, 1.08, 1.17])
def test_formants_move_and_the_pitch_does_not(factor):
    """The harmonics come out as loud as from a mouth with all resonances elsewhere, twice as near to it as before."""
    before, wanted = (through_a_mouth(110, [x * 700, x * 1800, x * 2900]) for x in (1, factor))
    moved = with_formants_moved(before, factor, RATE)
    assert len(moved) == len(before) and pitch(moved) == pytest.approx(110, rel=0.01)
    assert np.square(moved).mean() == pytest.approx(np.square(before).mean(), rel=0.01)
    was, said, should = (harmonics(x, 110) for x in (before, moved, wanted))
    apart = [np.abs(x - should - np.median(x - should)).mean() for x in (was, said)]
    assert apart[1] < 0.5 * apart[0]


def test_silence_and_scraps_can_be_other_voices():
    silence, scrap = np.zeros(5000, np.float32), np.ones(3, np.float32)
    assert not stretched(silence, 1.2, RATE).any() and not with_formants_moved(silence, 1.2, RATE).any()
    assert stretched(scrap, 1.4, RATE).shape == (4,) and np.isfinite(with_formants_moved(scrap, 1.2, RATE)).all()


@pytest.mark.parametrize("name", ["", "high", "1.1:", "1:1:1:1", "0.4", "1:2.1", "1:1:3", "nan"])
def test_what_is_no_voice(name):
    with pytest.raises(UserError, match="is no voice; give FACTOR"):
        PseudoSpeaker.parse(name)


CLICKS = np.arange(0.2, 3.9, 0.31)  # seconds


@pytest.fixture(scope="module")
def click_train() -> np.ndarray:
    """Bursts of 12 ms in a little noise, and a voice beneath them in the second half."""
    rng = np.random.default_rng(0)
    wav = 1e-4 * rng.standard_normal(4 * RATE)
    time = np.arange(2 * RATE) / RATE
    wav[2 * RATE :] += 0.02 * sum(np.sin(2 * np.pi * 140 * k * time) for k in range(1, 8))
    for click in CLICKS:
        wav[round(click * RATE) :][:200] += 0.5 * rng.standard_normal(200)
    return wav.astype(np.float32)


@pytest.mark.parametrize("name", VOICES)
def test_clicks_stay_at_their_time(name, click_train):
    voice = PseudoSpeaker.parse(name)
    said = voice.speak(click_train, RATE)
    for click in CLICKS:
        begin = round((click * voice.length - 0.1) * RATE)
        loud = np.flatnonzero(np.abs(said[begin:][: RATE // 5]) > 0.2)
        assert loud.size and abs((begin + loud[0]) / RATE - click * voice.length) < 0.018


class Recordings(dict):
    sample_rate = RATE


@pytest.mark.parametrize("name", VOICES)
def test_a_phone_begins_in_the_frame_in_which_it_is_heard(name, click_train, monkeypatch):
    """Of every copy, for clips cut anywhere: the onsets are told to the frame, give or take one at its border."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes"))
    encode, hop = importlib.import_module("encode"), 320
    codec = SimpleNamespace(
        hop_length=hop,
        encode=lambda wav: F.max_pool1d(wav.float().abs(), hop).transpose(1, 2),  # a frame is how loud its samples are
    )
    voice, pack = PseudoSpeaker.parse(name), Recordings(u=click_train)
    clips = [
        Clip("u", begin, end, ("x",) * len(inside), tuple(inside))
        for begin, end in ((0.0, 4.0), (0.37, 2.6), (1.9, 3.7))
        for inside in [[click for click in CLICKS if begin < click < end]]
    ]
    for clip, frames in zip(clips, encode.encode_clips(codec, pack, clips, voice)):
        assert len(frames) == pytest.approx(clip.seconds * voice.length * RATE / hop, abs=1.1)
        loud = np.flatnonzero(frames[:, 0] > 0.2)
        starts = encode.first_frames(clip, voice, RATE / hop, len(frames))
        assert all(np.abs(loud - start).min() <= 1 for start in starts)
        assert all(np.abs(np.array(starts) + 0.5 - frame).min() < 2 for frame in loud)  # a stretched burst may be three
