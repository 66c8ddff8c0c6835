"""Other voices of a recording: pitch and length move as they are told to, and every sound stays at its time."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torch.nn import functional as F

from latent_tts.data.clips import Clip
from latent_tts.data.pseudo_speakers import PseudoSpeaker, stretched
from latent_tts.errors import UserError

RATE = 16000
VOICES = ["1", "0.9", "1.09:0.95", "1.1:1.1", "1:1.25", "0.9:0.8"]


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


def test_silence_and_scraps_can_be_stretched():
    assert not stretched(np.zeros(5000, np.float32), 1.2, RATE).any()
    assert stretched(np.ones(3, np.float32), 1.4, RATE).shape == (4,)


@pytest.mark.parametrize("name", ["", "high", "1.1:", "1:1:1", "0.4", "1:2.1", "nan"])
def test_what_is_no_voice(name):
    with pytest.raises(UserError, match="is no voice; give FACTOR or FACTOR:STRETCH"):
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
