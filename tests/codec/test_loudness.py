"""What an ear would hear of a difference: against published figures of hearing, and against PESQ."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from latent_tts.codec.loudness import LoudnessLoss, bark, hearing_threshold


@pytest.fixture(scope="module")
def loss() -> LoudnessLoss:
    return LoudnessLoss(16000)


@pytest.fixture
def voice(syllables) -> Tensor:
    return torch.from_numpy(syllables(2.0))[None]


def test_published_figures_of_hearing():
    """Zwicker's table of critical bands has 8.5 bark at 1 kHz and 24 at 15.5; an ear is keenest between 3 and 4 kHz."""
    assert bark(torch.tensor([1000.0, 15500.0])).tolist() == pytest.approx([8.5, 24.0], abs=0.15)
    hertz = torch.arange(100.0, 8000.0, 10)
    threshold = hearing_threshold(hertz)
    assert 3000 < float(hertz[threshold.argmin()]) < 4000
    assert float(hearing_threshold(torch.tensor(1000.0))) == pytest.approx(3.4, abs=0.1)


@pytest.mark.parametrize("rate", [16000, 24000])
def test_noise_has_the_power_it_should(rate):
    """White noise at a root mean square of one is at 79 dB over all bands, but for its constant part."""
    loss = LoudnessLoss(rate)
    wav = torch.randn(1, 4 * rate, generator=torch.Generator().manual_seed(0))
    assert float(10 * loss.densities(wav).sum(dim=1).mean().log10()) == pytest.approx(79, abs=0.1)


def test_a_tone_at_the_threshold_is_silent_and_ten_decibels_are_twice_as_loud(loss):
    """Zwicker's law grows with the power to 0.23: by a factor of 1.7 in ten decibels, far above the threshold."""
    band = 20
    power = torch.zeros(1, len(loss.quiet), 3)
    power[0, band] = loss.quiet[band] * torch.tensor([1.0, 1e6, 1e7])
    heard = loss.loudness(power)[0, band]
    assert float(heard[0]) == pytest.approx(0, abs=1e-6)
    assert float(heard[2] / heard[1]) == pytest.approx(10**0.23, rel=0.03)


def test_what_is_equal_or_masked_does_not_count(loss, voice):
    """Nor does a level that both share."""
    nothing = float(loss(voice, voice))
    assert nothing < 0.005 and float(loss(1.1 * voice, voice)) < 0.005
    noise = 0.02 * torch.randn(voice.shape, generator=torch.Generator().manual_seed(0))
    assert float(loss(voice + noise, voice)) > 10 * nothing
    louder = loss(2 * (voice + noise), 2 * voice)
    assert float(louder) == pytest.approx(float(loss(voice + noise, voice)), rel=0.01)


def test_what_is_added_is_worse_than_what_is_missing(loss, voice):
    """A tone in the pauses, in the output alone and in the target alone."""
    tone = 0.02 * torch.sin(torch.arange(voice.shape[1]) * (2 * np.pi * 2500 / 16000))
    assert float(loss(voice + tone, voice)) > 1.5 * float(loss(voice, voice + tone))


def test_a_gradient_reaches_what_is_heard(loss, voice):
    noise = 0.002 * torch.randn(voice.shape, generator=torch.Generator().manual_seed(0))
    output = (voice + noise).requires_grad_()
    loss(output, voice).backward()
    assert output.grad.isfinite().all() and (output.grad[0, 4000:-4000].abs() > 0).float().mean() > 0.9
    silence = torch.zeros_like(voice).requires_grad_()
    loss(silence, torch.zeros_like(voice)).backward()
    assert silence.grad.isfinite().all()


def test_it_ranks_as_pesq_does(loss, reference):
    """Noise of five levels and phases that waver by four amounts, on the shipped recording."""
    pesq = pytest.importorskip("pesq")
    from scipy.stats import spearmanr

    from latent_tts import audio

    wav = torch.from_numpy(audio.read(reference, 16000)[0])
    generator, made = torch.Generator().manual_seed(0), []
    for level in (0.5, 0.2, 0.1, 0.05, 0.02):
        made.append(wav + level * wav.std() * torch.randn(wav.shape, generator=generator))
    window = torch.hann_window(512)
    spectrum = torch.stft(wav, 512, 128, window=window, return_complex=True)
    for amount in (0.1, 0.2, 0.4, 0.8):
        turned = spectrum * torch.exp(1j * amount * torch.randn(spectrum.shape, generator=generator))
        made.append(torch.istft(turned, 512, 128, window=window, length=len(wav)))
    found = [float(loss(sound[None], wav[None])) for sound in made]
    scores = [pesq.pesq(16000, wav.numpy(), sound.numpy(), "wb") for sound in made]
    assert spearmanr(found, scores).statistic < -0.9
