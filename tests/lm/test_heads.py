"""The diffusion head learns distributions."""

from __future__ import annotations

import pytest
import torch
from tiny import awaken

from latent_tts.frames import Sampling
from latent_tts.lm.heads import DiffusionHead

TURN = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
DEVIATION = 0.3


@pytest.fixture(scope="module")
def trained() -> DiffusionHead:
    """Trained for some seconds on frames around twice the condition, turned."""
    torch.manual_seed(0)
    head = DiffusionHead(2, 2, 48, 2, draws=4)
    optimizer = torch.optim.AdamW(head.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=500)
    for _ in range(500):
        cond = torch.rand(96, 2) * 2 - 1
        frames = 2 * cond @ TURN.T + DEVIATION * torch.randn(96, 2)
        loss = head.loss(frames, cond).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval()


@torch.inference_mode()
def draw(head: DiffusionHead, cond: torch.Tensor, null: torch.Tensor, **sampling: float) -> torch.Tensor:
    noise = torch.randn(600, 2, generator=torch.Generator().manual_seed(1))
    return head.sample(cond.expand(600, 2), null, Sampling(**({"temperature": 1.0} | sampling)), noise)


@pytest.mark.parametrize("cond", [(0.0, 0.0), (0.7, -0.4), (-0.5, -0.8)])
def test_samples_have_the_conditional_mean(trained, cond):
    cond = torch.tensor(cond)
    samples = draw(trained, cond, torch.zeros(2), guidance=1, steps=20)
    assert torch.allclose(samples.mean(dim=0), 2 * TURN @ cond, atol=0.15)
    assert torch.allclose(samples.std(dim=0), torch.full((2,), DEVIATION), atol=0.12)


def test_less_temperature_is_less_spread(trained):
    cond = torch.tensor([0.7, -0.4])
    cold, warm = (draw(trained, cond, cond, guidance=1, temperature=t) for t in (0.2, 1.0))
    assert (cold.std(dim=0) < 0.6 * warm.std(dim=0)).all()
    assert torch.allclose(cold.mean(dim=0), warm.mean(dim=0), atol=0.15)


def test_guidance_goes_beyond_the_condition(trained):
    """Away from what the null says; between the two below 1; nowhere else where both agree."""
    cond, null = torch.tensor([0.4, 0.0]), torch.zeros(2)
    means = [draw(trained, cond, null, guidance=g, steps=20).mean(dim=0) for g in (0, 0.5, 1, 1.5)]
    along = [float(mean @ TURN @ torch.tensor([1.0, 0.0])) for mean in means]
    assert along == sorted(along) and along[0] == pytest.approx(0, abs=0.15) and along[3] - along[2] > 0.1
    same = draw(trained, cond, cond, guidance=3)
    assert torch.allclose(same, draw(trained, cond, cond, guidance=1), atol=1e-3)


def test_a_new_head_knows_nothing():
    """It starts at v = 0, whose error is the variance of v: one in each dimension of standardised frames."""
    head = DiffusionHead(4, 3, 16, 1, draws=8)
    loss = head.loss(torch.randn(2000, 4, generator=torch.Generator().manual_seed(0)), torch.randn(2000, 3))
    assert loss.shape == (2000,) and loss.mean().item() == pytest.approx(1, abs=0.05)


def test_rows_do_not_meet():
    head = awaken(DiffusionHead(4, 3, 16, 2))
    cond, noise, sampling = torch.randn(5, 3), torch.randn(5, 4), Sampling(steps=4)
    together = head.sample(cond, torch.zeros(3), sampling, noise)
    alone = torch.cat([head.sample(cond[i : i + 1], torch.zeros(3), sampling, noise[i : i + 1]) for i in range(5)])
    assert torch.allclose(together, alone, atol=1e-5) and (together[0] - together[1]).abs().max() > 1e-2
