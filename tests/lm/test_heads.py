"""Every head learns distributions, and its sampler and objective agree with closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tiny import awaken
from torch import Tensor

from latent_tts.errors import UserError
from latent_tts.frames import Sampling
from latent_tts.lm.guidance import GUIDANCE
from latent_tts.lm.heads import HEADS, DiffusionHead, EnergyHead, FlowHead, Head, build_head, energy_score

ACROSS, ALONG = torch.tensor([0.8, 0.6]), torch.tensor([-0.6, 0.8])  # orthogonal, of length one
DEVIATION = 0.3
ONE_STEP = ("flow", "energy")
ANY_HEAD = pytest.mark.parametrize("kind", HEADS)


def conditional_mixture(cond: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Frames (M, 2) under conditions (M, 2) in [-1, 1]: two modes at ACROSS and -ACROSS, the first with a share of
    (1 + cond_1) / 2, both moved by twice cond_0 along ALONG."""
    count = len(cond)
    side = torch.where(torch.rand(count, generator=generator) < (1 + cond[:, 1]) / 2, 1.0, -1.0)
    noise = DEVIATION * torch.randn(count, 2, generator=generator)
    return side[:, None] * ACROSS + 2 * cond[:, :1] * ALONG + noise


@pytest.fixture(scope="module", params=HEADS)
def trained(request) -> Head:
    """Trained for some seconds on the mixture."""
    torch.manual_seed(0)
    head, rate, steps = build_head(request.param, 2, 2, 48, 2, draws=4), 5e-3, 350
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(steps):
        cond = torch.rand(128, 2) * 2 - 1
        loss = head.loss(conditional_mixture(cond), cond).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval()


@torch.inference_mode()
def draw(head: Head, cond: Tensor, null: Tensor, seed: int = 1, **sampling: float) -> Tensor:
    """1000 frames under one condition (H,), each from noise of its own."""
    noise = torch.randn(1000, head.noise_dim, generator=torch.Generator().manual_seed(seed))
    usual = {"temperature": 1.0, "guidance": 1.0, "steps": 20}
    return head.sample(cond.expand(1000, -1), null, Sampling(**(usual | sampling)), noise)


def amiss(samples: Tensor, cond: Tensor) -> float:
    """How far frames (1000, 2) are from the mixture under a condition (2,) by energy distance, 2 E|a - b| - E|a - a'|
    - E|b - b'|: 0 where nothing is amiss, 1 where they are the mixture's mean."""
    true = conditional_mixture(cond.expand(1000, 2), torch.Generator().manual_seed(0))

    def distance(a: Tensor, b: Tensor) -> Tensor:
        apart = (torch.cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a, b))
        return 2 * torch.cdist(a, b).mean() - sum(apart)

    return float(distance(samples, true) / distance(true.mean(dim=0).expand_as(true), true))


@pytest.mark.parametrize("cond", [(0.0, 0.0), (0.7, -0.4), (-0.5, 0.6)])
def test_samples_have_the_mixture_s_moments(trained, cond):
    """Means, spreads within modes, shares of modes; and all of it at once by energy distance."""
    cond = torch.tensor(cond)
    samples = draw(trained, cond, torch.zeros(2))
    across, along = samples @ ACROSS, samples @ ALONG
    share = (across > 0).float().mean().item()
    assert share == pytest.approx((1 + float(cond[1])) / 2, abs=0.08)
    for side, mode in ((1, across[across > 0]), (-1, across[across < 0])):
        assert mode.mean() == pytest.approx(side, abs=0.25) and mode.std() == pytest.approx(DEVIATION, abs=0.2)
    assert along.mean() == pytest.approx(2 * float(cond[0]), abs=0.15)
    assert along.std() == pytest.approx(DEVIATION, abs=0.12)
    assert amiss(samples, cond) < 0.1


def test_one_step_is_close_to_many(trained):
    """A flow map jumps to where its flow leads; an energy head has no steps; diffusion in one step is the mean."""
    cond = torch.tensor([0.3, 0.2])
    one, many = (draw(trained, cond, torch.zeros(2), steps=n) for n in (1, 30))
    if isinstance(trained, DiffusionHead):
        assert amiss(one, cond) > 0.7
    else:
        assert amiss(one, cond) < 0.2 and (one - many).norm(dim=1).median() < 0.4


def test_less_temperature_is_less_spread(trained):
    """Down to none: at 0 noise has no part."""
    cond = torch.tensor([0.7, 0.9])
    none, other, cold, warm = (
        draw(trained, cond, cond, seed, temperature=t) for seed, t in ((1, 0), (2, 0), (1, 0.2), (1, 1))
    )
    assert torch.equal(none, other) and torch.equal(none[0].expand_as(none), none)
    assert (cold.std(dim=0) < 0.6 * warm.std(dim=0)).all()


def test_guidance_goes_beyond_the_condition(trained):
    """Away from what the null says; between the two below 1; nowhere else where both agree."""
    cond, null = torch.tensor([0.4, 0.0]), torch.zeros(2)
    for form in GUIDANCE.values():
        trained.guide = form
        along = [float((draw(trained, cond, null, guidance=g) @ ALONG).mean()) for g in (0, 0.5, 1, 1.5)]
        assert along == sorted(along) and along[0] == pytest.approx(0, abs=0.15) and along[3] - along[2] > 0.1
        same = draw(trained, cond, cond, guidance=3)
        assert torch.allclose(same, draw(trained, cond, cond, guidance=1), atol=1e-3)


class TestEveryHead:
    @ANY_HEAD
    def test_rows_do_not_meet(self, kind):
        head = awaken(build_head(kind, 4, 3, 16, 2, draws=4))
        cond, noise, null = torch.randn(5, 3), torch.randn(5, head.noise_dim), torch.zeros(3)
        sampling = Sampling(steps=4)
        together = head.sample(cond, null, sampling, noise)
        alone = torch.cat([head.sample(cond[i : i + 1], null, sampling, noise[i : i + 1]) for i in range(5)])
        assert torch.allclose(together, alone, atol=1e-5) and (together[0] - together[1]).abs().max() > 1e-2

    @ANY_HEAD
    def test_a_loss_is_the_same_in_every_mode(self, kind):
        """Its value with gradients, without, and in inference mode; nearly in bf16. Every weight has a gradient."""
        head = awaken(build_head(kind, 4, 3, 16, 2, draws=4)).train()
        frames, cond = torch.randn(300, 4), torch.randn(300, 3, requires_grad=True)

        def loss() -> Tensor:
            torch.manual_seed(0)
            return head.loss(frames, cond)

        wanted = loss()
        wanted.mean().backward()
        assert wanted.shape == (300,) and cond.grad.abs().sum() > 0
        assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in head.parameters())
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                assert torch.allclose(loss(), wanted, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            rough = loss()
        assert rough.mean().item() == pytest.approx(wanted.mean().item(), rel=0.02) and rough.dtype == torch.float32

    @ANY_HEAD
    def test_a_new_head_can_begin(self, kind):
        """It says zero whatever it is asked, and its gradient is finite there."""
        head = build_head(kind, 4, 3, 16, 1, draws=4)
        head.loss(torch.randn(20, 4), torch.randn(20, 3)).mean().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in head.parameters())
        assert head.leave.weight.grad.abs().sum() > 0

    def test_names_that_are_not_known(self):
        with pytest.raises(UserError, match="no head 'gan'; known are ddpm, flow, energy"):
            build_head("gan", 4, 3, 16, 1, 4)
        with pytest.raises(UserError, match="no form of guidance 'text'; known are output, condition"):
            build_head("flow", 4, 3, 16, 1, 4, "text")

    @pytest.mark.parametrize("kind", ONE_STEP)
    def test_too_few_draws(self, kind):
        with pytest.raises(UserError, match="at least 2 draws a frame, not 1"):
            build_head(kind, 4, 3, 16, 1, draws=1)


def test_the_order_of_weights_is_that_of_older_checkpoints():
    """An optimiser's state knows them by it alone."""
    names = [name.split(".")[0] for name, _ in DiffusionHead(4, 3, 16, 2).named_parameters()]
    assert list(dict.fromkeys(names)) == ["enter", "condition", "time", "blocks", "modulation", "leave"]


def test_a_new_diffusion_head_knows_nothing():
    """It starts at v = 0, whose error is the variance of v: one in each dimension of standardised frames."""
    head = DiffusionHead(4, 3, 16, 1, draws=8)
    loss = head.loss(torch.randn(2000, 4, generator=torch.Generator().manual_seed(0)), torch.randn(2000, 3))
    assert loss.shape == (2000,) and loss.mean().item() == pytest.approx(1, abs=0.05)


MEAN, SPREAD = -0.4, 0.6  # of Gaussian frames


def gaussian_flow(x: Tensor, s: Tensor | float, t: Tensor | float, cond: Tensor) -> Tensor:
    """The average velocity of the exact flow of Gaussian frames between s and t; where they meet, its limit.

    x_t has mean t MEAN and deviation d(t) = sqrt(t^2 SPREAD^2 + (1 - t)^2), and the flow keeps (x - mean) / d.
    """
    s, t = (torch.as_tensor(time, dtype=x.dtype).expand(len(x))[:, None] for time in (s, t))
    t = torch.where(t - s < 1e-4, s + 1e-4, t)
    d_s, d_t = (torch.sqrt((time * SPREAD) ** 2 + (1 - time) ** 2) for time in (s, t))
    return (t * MEAN + d_t / d_s * (x - s * MEAN) - x) / (t - s)


def mixture_velocity(x: Tensor, s: float, t: float, cond: Tensor) -> Tensor:
    """E[frame - noise | x_s] where frames (M, 1) are of 0.3 N(-1, 0.2) + 0.7 N(1.5, 0.3)."""
    logits, cleans = [], []
    for weight, mean, spread in ((0.3, -1.0, 0.2), (0.7, 1.5, 0.3)):
        variance, offset = (s * spread) ** 2 + (1 - s) ** 2, x - s * mean
        logits.append(math.log(weight) - math.log(variance) / 2 - offset**2 / (2 * variance))
        cleans.append(mean + s * spread**2 / variance * offset)
    clean = (torch.stack(logits).softmax(dim=0) * torch.stack(cleans)).sum(dim=0)
    return (clean - x) / (1 - s)


@pytest.fixture
def flow(monkeypatch) -> Callable[[Callable], FlowHead]:
    """``flow(velocity)`` is a flow head whose network is a function."""

    def build(velocity: Callable) -> FlowHead:
        head = FlowHead(1, 1, 16, 1)
        monkeypatch.setattr(head, "velocity", velocity)
        return head

    return build


class TestFlow:
    @pytest.mark.parametrize("steps", [1, 2, 7])
    def test_the_exact_map_of_a_gaussian(self, flow, steps):
        """However many jumps, noise e becomes MEAN + SPREAD e."""
        noise = torch.linspace(-3, 3, 31, dtype=torch.float64)[:, None]
        sampling = Sampling(steps=steps, guidance=1, temperature=1)
        frames = flow(gaussian_flow).sample(torch.zeros(31, 1), torch.zeros(1), sampling, noise)
        assert torch.allclose(frames, MEAN + SPREAD * noise, atol=1e-3)

    def test_the_flow_of_a_mixture_is_sampled_in_its_proportions(self, flow):
        """Its velocity alone, step by step: twice the steps, half the error."""
        noise = torch.randn(20000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        head = flow(mixture_velocity)

        def frames(steps: int) -> Tensor:
            sampling = Sampling(steps=steps, guidance=1, temperature=1)
            return head.sample(torch.zeros(20000, 1), torch.zeros(1), sampling, noise)

        limit = frames(1000)
        errors = [float((frames(steps) - limit).abs().mean()) for steps in (25, 50, 100)]
        assert all(0.35 * a < b < 0.65 * a for a, b in zip(errors, errors[1:])), errors
        left = limit[limit < 0.2]
        assert len(left) / len(limit) == pytest.approx(0.3, abs=0.01)
        assert left.mean() == pytest.approx(-1.0, abs=0.02) and left.std() == pytest.approx(0.2, rel=0.05)

    def test_the_exact_map_has_no_residual(self, flow):
        """The Lagrangian term of Gaussian frames vanishes at their flow map, and at it alone."""
        frames = MEAN + SPREAD * torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))
        residual = flow(gaussian_flow)._lagrangian(frames, torch.zeros(2000, 1)).mean()
        straight = flow(lambda x, s, t, cond: gaussian_flow(x, s, s, cond))._lagrangian(frames, torch.zeros(2000, 1))
        assert residual < 1e-4 < 1e-2 < straight.mean()

    def test_the_true_velocity_has_the_least_error(self, flow):
        frames = MEAN + SPREAD * torch.randn(5000, 1, generator=torch.Generator().manual_seed(0))
        losses = []
        for offset in (0, 0.2, -0.2):
            torch.manual_seed(0)
            head = flow(lambda x, s, t, cond, offset=offset: gaussian_flow(x, s, t, cond) + offset)
            losses.append(head._matching(frames, torch.zeros(5000, 1)).mean().item())
        assert losses[1:] == pytest.approx([losses[0] + 0.04] * 2, abs=0.015)


class TestEnergy:
    def score(self, mean: float, spread: float, draws: int = 2, dim: int = 1) -> float:
        """Of N(mean, spread^2) where N(0, 1) is true."""
        generator = torch.Generator().manual_seed(0)
        drawn = mean + spread * torch.randn(draws, 40000, dim, generator=generator)
        return energy_score(drawn, torch.randn(40000, dim, generator=generator)).mean().item()

    @pytest.mark.parametrize("draws", [2, 3, 8])
    def test_its_known_values(self, draws):
        """The truth scores E|a - y| = 2 / sqrt(pi), a point E|y| twice, whatever the number of draws."""
        assert self.score(0, 1, draws) == pytest.approx(2 / math.sqrt(math.pi), abs=0.02)
        assert self.score(0, 0, draws) == pytest.approx(2 * math.sqrt(2 / math.pi), abs=0.02)

    def test_nothing_scores_better_than_the_truth(self):
        """What is above the truth's score is the energy distance: zero for the truth, and positive for all else."""
        truth = self.score(0, 1)
        for mean, spread in ((0.3, 1), (-0.3, 1), (0, 0.6), (0, 1.5), (0, 0)):
            assert self.score(mean, spread) > truth + 0.02, (mean, spread)

    def test_its_scale_is_that_of_a_float(self):
        assert self.score(0, 1, dim=64) == pytest.approx(math.sqrt(2), abs=0.02)

    def test_a_dropped_noise_has_no_part(self):
        """The head's frames differ by their noise alone."""
        head, cond = awaken(EnergyHead(4, 3, 16, 2)), torch.randn(3).expand(2, 3)
        one, other = head.frames(torch.randn(2, head.noise_dim), cond)
        assert (one - other).norm() > 1e-2


@pytest.mark.parametrize("form", GUIDANCE)
@pytest.mark.parametrize("guidance", [1, 2])
@ANY_HEAD
def test_evaluations_are_counted(kind, guidance, form):
    """As often as the network's last layer answers; an answer under the null condition is one more."""
    head, answers = build_head(kind, 2, 2, 16, 1, 4, form), []
    head.leave.register_forward_hook(lambda module, inputs, output: answers.append(output.numel() // 2))
    sampling = Sampling(steps=5, guidance=guidance)
    head.sample(torch.zeros(1, 2), torch.ones(2), sampling, torch.zeros(1, head.noise_dim))
    assert head.evaluations(sampling) == sum(answers) > 0
