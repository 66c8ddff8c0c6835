"""Optimiser groups, the learning rate's course and the averaged weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from latent_tts.errors import UserError
from latent_tts.train.optim import MuonConfig, NotFinite, averaged, check_finite, optimizer_of, warmup_cosine


def test_matrices_decay_and_vectors_do_not():
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Conv1d(4, 2, 3))
    module[0].weight.requires_grad_(False)
    optimizer = optimizer_of(module, 0.1, (0.8, 0.99), 0.3)
    for group in optimizer.param_groups:
        assert all((p.ndim >= 2) == (group["weight_decay"] == 0.3) for p in group["params"])
        assert group["lr"] == 0.1 and group["betas"] == (0.8, 0.99)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 5


def test_the_rate_rises_then_falls_to_its_floor():
    optimizer = optimizer_of(nn.Linear(2, 2), 1.0, (0.9, 0.99), 0)
    schedule, rates = warmup_cosine(optimizer, 4, 24, floor=0.1), []
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[14] == pytest.approx(0.55) and rates[24:] == pytest.approx([0.1] * 16)
    assert all(a >= b for a, b in zip(rates[4:], rates[5:]))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 24), nn.LayerNorm(24), nn.Linear(24, 4))


def steps_of(optimizer: torch.optim.Optimizer, module: nn.Module, first: int, last: int) -> None:
    """Steps along gradients that hang on the number of the step alone, so along the same in any training."""
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        for parameter in module.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


def test_muon_moves_a_matrix_in_all_directions_alike():
    """Its gradient has singular values a hundred times apart; those of its first step lie within what five iterations
    leave (Jordan et al. 2024: 0.7 to 1.2), times 0.2 sqrt(max(m, n)) and the rate (Liu et al. 2025, eq. 4)."""
    layer = nn.Linear(32, 64, bias=False)
    before = layer.weight.detach().clone()
    left, right = (torch.linalg.qr(torch.randn(size, 32))[0] for size in (64, 32))
    layer.weight.grad = left @ torch.diag(torch.logspace(0, -2, 32)) @ right.T
    optimizer_of(layer, 0.01, (0.8, 0.99), 0, MuonConfig(rate=3)).step()
    sizes = torch.linalg.svdvals(before - layer.weight.detach()) / (0.03 * 0.2 * 64**0.5)
    assert 0.6 < sizes.min() and sizes.max() < 1.3


def test_beside_muon_the_rest_learns_as_without_it():
    alone, beside = network(), network()
    steps_of(optimizer_of(alone, 0.01, (0.8, 0.99), 0.1), alone, 0, 3)
    steps_of(optimizer_of(beside, 0.01, (0.8, 0.99), 0.1, MuonConfig()), beside, 0, 3)
    for (name, one), other in zip(alone.named_parameters(), beside.parameters()):
        assert torch.equal(one, other) != (name in ("1.weight", "3.weight")), name


def test_muon_decays_matrices_as_adamw_would():
    module, still = network(), network()
    optimizer = optimizer_of(module, 0.1, (0.8, 0.99), 0.3, MuonConfig(rate=2))
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for one, other in zip(module.parameters(), still.parameters()):
        torch.testing.assert_close(one, other * (0.97 if one.ndim >= 2 else 1.0))


def test_muon_goes_on_from_what_was_saved():
    """Bit for bit, and the rate of both kinds of weights follows the schedule."""
    straight, first, second = network(), network(), network()
    steps_of(optimizer_of(straight, 0.01, (0.8, 0.99), 0.1, MuonConfig()), straight, 0, 6)
    optimizer = optimizer_of(first, 0.01, (0.8, 0.99), 0.1, MuonConfig())
    steps_of(optimizer, first, 0, 3)
    second.load_state_dict(first.state_dict())
    resumed = optimizer_of(second, 0.01, (0.8, 0.99), 0.1, MuonConfig())
    resumed.load_state_dict(optimizer.state_dict())
    steps_of(resumed, second, 3, 6)
    assert all(torch.equal(one, other) for one, other in zip(straight.parameters(), second.parameters()))
    schedule = warmup_cosine(resumed, 2, 10)
    assert [group["lr"] for group in resumed.param_groups] == pytest.approx([0.01, 0.005, 0.005])
    steps_of(resumed, second, 6, 7)
    schedule.step()
    assert [group["lr"] for part in resumed.parts for group in part.param_groups] == pytest.approx([0.02, 0.01, 0.01])


def test_a_frozen_matrix_stays():
    module, still = network(), network()
    optimizer = optimizer_of(module, 0.1, (0.8, 0.99), 0.3, MuonConfig())
    module[3].requires_grad_(False)
    module(torch.arange(9)).sum().backward()
    optimizer.step()
    assert torch.equal(module[3].weight, still[3].weight) and not torch.equal(module[1].weight, still[1].weight)


@pytest.mark.parametrize("muon", [MuonConfig(rate=0), MuonConfig(rate=-1), MuonConfig(momentum=1)])
def test_impossible_muon_is_one_line(muon):
    with pytest.raises(UserError, match=r"MuonConfig\(rate=.*: want a rate above 0 and a momentum from 0 to below 1"):
        optimizer_of(network(), 0.1, (0.8, 0.99), 0, muon)


def test_muon_wants_a_torch_that_has_it(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(UserError, match="muon wants torch 2.9 or newer"):
        optimizer_of(network(), 0.1, (0.8, 0.99), 0, MuonConfig())


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
