"""Pictures are drawn of real panels, and what they show is what they were given."""

from __future__ import annotations

import numpy as np
import pytest

from latent_tts.evaluate.pictures import Spectrogram, Trajectory, draw

RATE = 16000


def test_a_picture_of_all_panels_is_a_png(tmp_path):
    pytest.importorskip("matplotlib")
    wav = np.sin(np.arange(RATE) * 0.3).astype(np.float32)
    frames = np.random.default_rng(0).normal(size=(13, 6))
    panels = [Spectrogram("a $ound", wav, RATE, [(0.5, "ɑː")]), Trajectory("its frames", frames, 12.5)]
    draw(tmp_path / "new" / "picture.png", panels)
    assert (tmp_path / "new" / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["picture.png"]


def test_a_tone_is_bright_where_it_sounds():
    wav = np.zeros(RATE, np.float32)
    wav[RATE // 2 :] = np.sin(2 * np.pi * 1000 * np.arange(RATE // 2) / RATE)
    mel = Spectrogram("tone", wav, RATE).log_mel()
    assert mel.shape == (100, 80) and mel[60:].max() > mel[:49].max() + 3


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_the_dimensions_that_move_most_are_shown(kind):
    """Frames may be floats or codes."""
    frames = (np.array([[1], [-1]] * 5) * np.array([3, 0, 50, 20, 1])).astype(kind)
    trajectory = Trajectory("", frames, 12.5, lines=3)
    assert trajectory.dimensions() == [2, 3, 0] and trajectory.seconds == pytest.approx(0.8)
