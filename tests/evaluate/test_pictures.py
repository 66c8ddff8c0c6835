"""Pictures are drawn of real panels, and what they show is what they were given."""

from __future__ import annotations

import numpy as np
import pytest

from latent_tts.evaluate.pictures import Pitch, Spectrogram, Trajectory, draw

RATE = 16000


def test_a_picture_of_all_panels_is_a_png(tmp_path):
    pytest.importorskip("matplotlib")
    wav = np.sin(np.arange(RATE) * 0.3).astype(np.float32)
    frames = np.random.default_rng(0).normal(size=(13, 6))
    panels = [Spectrogram("a $ound", wav, RATE, [(0.5, "ɑː")]), Trajectory("its frames", frames, 12.5)]
    panels.append(Pitch("its pitch", {"one": (wav, RATE), "half": (wav[::2], RATE // 2)}))
    draw(tmp_path / "new" / "picture.png", panels)
    assert (tmp_path / "new" / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["picture.png"]


def test_a_tone_is_bright_where_it_sounds():
    wav = np.zeros(RATE, np.float32)
    wav[RATE // 2 :] = np.sin(2 * np.pi * 1000 * np.arange(RATE // 2) / RATE)
    mel = Spectrogram("tone", wav, RATE).log_mel()
    assert mel.shape == (100, 80) and mel[60:].max() > mel[:49].max() + 3


@pytest.mark.parametrize("rate", [16000, 44100])
def test_the_pitch_is_where_there_is_a_voice(rate):
    """A buzz of 120 Hz in the second half of a second, noise in the first."""
    phase, noise = 2 * np.pi * 120 * np.arange(rate // 2) / rate, np.random.default_rng(0).normal(size=rate // 2)
    wav = np.r_[0.01 * noise, sum(np.sin(n * phase) / n for n in range(1, 20))]
    contour = Pitch.contour(wav, rate)
    assert len(contour) == 101 and np.isnan(contour[:40]).mean() > 0.8
    assert np.abs(contour[60:95] / 120 - 1).max() < 0.02
    assert Pitch("", {"a": (wav, rate), "b": (wav[: rate // 4], rate)}).seconds == 1


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_the_dimensions_that_move_most_are_shown(kind):
    """Frames may be floats or codes."""
    frames = (np.array([[1], [-1]] * 5) * np.array([3, 0, 50, 20, 1])).astype(kind)
    trajectory = Trajectory("", frames, 12.5, lines=3)
    assert trajectory.dimensions() == [2, 3, 0] and trajectory.seconds == pytest.approx(0.8)
