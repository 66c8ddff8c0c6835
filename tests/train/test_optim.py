"""Optimiser groups, the learning rate's course and the averaged weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from latent_tts.train.optim import NotFinite, adamw, averaged, check_finite, warmup_cosine


def test_matrices_decay_and_vectors_do_not():
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Conv1d(4, 2, 3))
    module[0].weight.requires_grad_(False)
    optimizer = adamw(module, 0.1, (0.8, 0.99), 0.3)
    for group in optimizer.param_groups:
        assert all((p.ndim >= 2) == (group["weight_decay"] == 0.3) for p in group["params"])
        assert group["lr"] == 0.1 and group["betas"] == (0.8, 0.99)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 5


def test_the_rate_rises_then_falls_to_its_floor():
    optimizer = adamw(nn.Linear(2, 2), 1.0, (0.9, 0.99), 0)
    schedule, rates = warmup_cosine(optimizer, 4, 24, floor=0.1), []
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[14] == pytest.approx(0.55) and rates[24:] == pytest.approx([0.1] * 16)
    assert all(a >= b for a, b in zip(rates[4:], rates[5:]))


def after_zeros(decay: float, zeros: int, ones: int) -> float:
    """The average of a weight that was 0 for some updates and then 1 for others."""
    layer = nn.Linear(1, 1, bias=False)
    average = averaged(layer, decay)
    for value in [0.0] * zeros + [1.0] * ones:
        nn.init.constant_(layer.weight, value)
        average.update_parameters(layer)
    return average.module.weight.item()


def test_the_average_follows_slowly():
    assert after_zeros(0.75, 30, 2) == pytest.approx(1 - 0.75**2)


def test_at_first_the_average_follows_faster():
    assert after_zeros(0.998, 1, 2) == pytest.approx(1 - 2 / 11 * 3 / 12)
    assert after_zeros(0.998, 1, 500) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_must_be_finite(value):
    check_finite(torch.tensor(3.0), "lm", 7)
    with pytest.raises(NotFinite, match=f"lm: the loss is {value} at step 7; ") as stop:
        check_finite(torch.tensor(value), "lm", 7)
    assert isinstance(stop.value, FloatingPointError) and (stop.value.part, stop.value.step) == ("lm", 7)
