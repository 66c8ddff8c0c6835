"""The clinic hears what is wrong with a recording, and takes the best seconds of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio, clinic
from latent_tts.clinic import BEST_SECONDS, examine
from latent_tts.errors import UserError

RATE = 16000


@pytest.fixture(scope="module")
def recording(model_folder) -> np.ndarray:
    return audio.read(model_folder / "reference.flac", RATE)[0]


def names(wav: np.ndarray) -> set[str]:
    return {finding.name for finding in examine(wav, RATE)[0].findings}


@pytest.fixture
def alone(monkeypatch):
    """Without the extras: levels and times only."""
    monkeypatch.setattr(clinic, "find_spec", lambda name: None)


def test_a_good_recording(recording):
    report, best = examine(recording, RATE)
    assert report.good and BEST_SECONDS[0] <= len(best) / RATE <= BEST_SECONDS[1], report.lines()
    assert report.seconds == pytest.approx(len(recording) / RATE) and 0 <= report.start < report.end <= report.seconds
    assert json.loads(json.dumps(report.as_dict()))["good"] is True
    assert "s used" in report.lines()[0] and all("\n" not in line for line in report.lines())


@pytest.mark.parametrize(
    "spoil, name",
    [
        (lambda wav: 0.02 * wav, "loudness"),
        (lambda wav: np.clip(40 * wav, -1, 1), "clipped"),
        (lambda wav: wav + 0.02 * np.random.default_rng(0).normal(size=len(wav)).astype(np.float32), "snr"),
        (lambda wav: wav[: 2 * RATE], "length"),
        (lambda wav: np.concatenate([wav[24000:33000], np.zeros(24000, np.float32), wav[33000:48000]]), "pause"),
    ],
)
def test_what_is_wrong_is_found(alone, recording, spoil, name):
    assert name not in names(recording)
    assert name in names(spoil(recording))


def test_a_word_cut_at_the_edge_is_found(alone, syllables):
    """Syllables of a quarter of a second each half second: cut amid them, and between them."""
    wav = syllables(6.0)
    assert "cut" in names(wav[2000 : 2000 + 2 * RATE]) and "cut" not in names(wav[5000:39000])


def test_the_best_of_a_long_recording_is_taken(alone, syllables):
    """Noise, then speech that is clipped, then clean speech: the last is chosen, between pauses."""
    spoilt = np.clip(30 * syllables(8.0), -1, 1)
    clean, silence = syllables(9.0), np.zeros(RATE, np.float32)
    wav = np.concatenate([spoilt, silence, clean, silence, spoilt])
    report, best = examine(wav, RATE)
    assert 8.0 < report.start < report.end < 19.2 and BEST_SECONDS[0] <= len(best) / RATE <= BEST_SECONDS[1]
    assert report.clipped == 0 and not report.cut_start and not report.cut_end
    assert "cut off at the beginning" in report.done[0] and "at the end" in report.done[0]


def test_two_speakers_are_told_from_one():
    pytest.importorskip("resemblyzer")
    folder = Path(__file__).parent.parent / "egs/nano/trials/references"
    anna, bob = (audio.read(folder / name, RATE)[0] for name in ("441-128982-0000.flac", "3240-131231-0000.flac"))
    two = clinic.least_likeness(np.r_[anna[16000:64000], bob[16000:64000]], RATE)
    assert examine(anna, RATE)[0].likeness > clinic.LIMITS["likeness"][0] > two


def test_without_the_extras_it_says_what_it_did_not_check(alone, recording):
    report, _ = examine(recording, RATE)
    assert report.dnsmos is None and report.likeness is None and len(report.unchecked) == 2
    assert sum(line.startswith("not checked") for line in report.lines()) == 2
    with pytest.raises(UserError, match="matplotlib"):
        clinic.draw("x.png", recording, RATE, report)


def test_a_picture(tmp_path, alone, recording, monkeypatch):
    pytest.importorskip("matplotlib")
    report, _ = examine(recording, RATE)
    monkeypatch.undo()
    clinic.draw(tmp_path / "a.png", recording, RATE, report)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG") and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("wav", [np.zeros(3 * RATE, np.float32), np.full(3 * RATE, np.nan, np.float32)])
def test_what_is_no_recording(wav):
    with pytest.raises(UserError):
        examine(wav, RATE)


def test_noise_without_a_pause_is_no_crash(alone):
    report, best = examine(0.1 * np.random.default_rng(0).normal(size=20 * RATE).astype(np.float32), RATE)
    assert "snr" in {finding.name for finding in report.findings} and len(best) <= BEST_SECONDS[1] * RATE
