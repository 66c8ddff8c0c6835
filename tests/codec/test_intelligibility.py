"""How well a sound can be understood beside another: against pystoi's STOI."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pystoi import stoi
from torch import Tensor
from torchaudio.functional import resample

from latent_tts import audio
from latent_tts.codec.intelligibility import SEGMENT, IntelligibilityLoss


def noise(like: Tensor, decibels: float) -> Tensor:
    """White noise so much below a sound."""
    made = torch.randn(like.shape, generator=torch.Generator().manual_seed(0))
    return made * like.norm() / made.norm() * 10 ** (-decibels / 20)


@pytest.fixture
def voice(model_folder) -> Tensor:
    """A person's, (1, T) at 16 kHz."""
    return torch.from_numpy(audio.read(model_folder / "reference.flac", 16000)[0])[None]


@pytest.mark.parametrize("rate", [16000, 24000])
def test_it_is_what_pystoi_has(rate, voice):
    """Within what it costs not to bring a sound to 10 kHz and to cut silence out of its spectrum."""
    voice = resample(voice, 16000, rate)
    loss, found = IntelligibilityLoss(rate), []
    for decibels in (30, 20, 10, 5, 0):
        heard = voice + noise(voice, decibels)
        found.append((stoi(voice[0].numpy(), heard[0].numpy(), rate), 1 - float(loss(heard, voice))))
    wanted, got = np.array(found).T
    assert np.abs(wanted - got).max() < 0.02 and (np.diff(got) < 0).all(), found


def test_what_is_equal_costs_nothing_at_any_level(voice):
    loss = IntelligibilityLoss(16000)
    assert float(loss(voice, voice)) == pytest.approx(0, abs=1e-5)
    assert float(loss(0.3 * voice, voice)) == pytest.approx(0, abs=1e-3)


def test_noise_in_silence_hardly_counts(voice):
    """And what has no sound at all has a slope that is a number."""
    loss = IntelligibilityLoss(16000)
    silence = torch.zeros(1, (SEGMENT + 2) * loss.width)
    both = torch.cat([voice, silence], dim=1)
    noisy = torch.cat([voice, noise(silence + 1, 60)], dim=1)
    assert float(loss(noisy, both)) < 0.02
    output = torch.zeros(1, 16000, requires_grad=True)
    for target in (torch.zeros(1, 16000), voice[:, :16000]):
        value = loss(output, target)
        (slope,) = torch.autograd.grad(value, output)
        assert value.isfinite() and slope.isfinite().all()


def test_a_step_down_its_slope_is_understood_better(voice):
    loss = IntelligibilityLoss(16000)
    heard = (voice + noise(voice, 5)).requires_grad_()
    before = loss(heard, voice)
    (slope,) = torch.autograd.grad(before, heard)
    after = loss(heard - 0.05 * heard.norm() / slope.norm() * slope, voice)
    assert float(after) < float(before) - 0.005
