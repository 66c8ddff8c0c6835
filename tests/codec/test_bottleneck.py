"""The sigma-VAE's bottleneck: one drawn width an example."""

from __future__ import annotations

import pytest
import torch

from latent_tts.codec.bottleneck import SigmaGaussian


@pytest.fixture
def widths() -> torch.Tensor:
    """(4000, 12) root mean squares of the noise, over the elements of each frame of many examples."""
    mu = torch.ones(4000, 12, 40)
    noise = SigmaGaussian(40, std=0.5).sample(mu, torch.Generator().manual_seed(0)) - mu
    return noise.square().mean(dim=2).sqrt()


def test_the_mean_width_is_std(widths):
    assert widths.mean() == pytest.approx(0.5, rel=0.03)


def test_one_width_an_example(widths):
    """Over examples it varies like |N(0, C)|, whose deviation is 0.76 of its mean; over frames only by estimation."""
    over_examples = widths.mean(dim=1).std() / widths.mean()
    within = (widths / widths.mean(dim=1, keepdim=True)).std(dim=1).mean()
    assert over_examples == pytest.approx((torch.pi / 2 - 1) ** 0.5, rel=0.05)
    assert within == pytest.approx(1 / 80**0.5, rel=0.1)


def test_the_noise_of_frames_is_that_of_samples():
    bottleneck = SigmaGaussian(3, std=0.4)
    bottleneck.measure(torch.randn(500, 3) * torch.tensor([0.5, 1.0, 4.0]))
    z = bottleneck.sample(torch.zeros(40000, 2, 3), torch.Generator().manual_seed(0))
    noise = bottleneck.to_frames(z).flatten(0, 1).std(dim=0)
    assert torch.allclose(noise, bottleneck.noise, rtol=0.03)


def test_a_generator_decides():
    bottleneck, mu = SigmaGaussian(4), torch.zeros(2, 3, 4)
    a, b, c = (bottleneck.sample(mu, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_to_frames_and_to_latents_are_inverse():
    torch.manual_seed(0)
    bottleneck, mu = SigmaGaussian(5), torch.randn(900, 5) * torch.tensor([0.01, 0.1, 1, 10, 100]) + 3
    bottleneck.measure(mu)
    frames = bottleneck.to_frames(mu)
    assert torch.allclose(frames.mean(dim=0), torch.zeros(5), atol=1e-3)
    assert torch.allclose(frames.std(dim=0), torch.ones(5), atol=1e-3)
    assert torch.allclose(bottleneck.to_latents(frames), mu, rtol=1e-4, atol=1e-4)


def test_a_dead_dimension_is_not_blown_up():
    bottleneck = SigmaGaussian(2)
    bottleneck.measure(torch.stack([torch.randn(50), torch.full((50,), 0.7)], dim=1))
    assert bottleneck.to_frames(torch.tensor([0.0, 0.7]))[1].abs() < 1e-3 and bottleneck.scale[1] <= 1000


def test_penalty_and_signal_to_noise():
    bottleneck, mu = SigmaGaussian(2, std=0.8, beta=0.1), torch.randn(4, 5000, 2) * 10 + 50
    assert bottleneck.penalty(torch.full((1, 2, 2), 3.0)) == pytest.approx(0.9)
    assert bottleneck.snr_db(mu) == pytest.approx(20, abs=0.3)
    assert torch.equal(SigmaGaussian(2, std=0).sample(mu), mu)
