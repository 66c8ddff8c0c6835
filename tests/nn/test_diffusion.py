"""The schedule against known values; the solver against closed forms and against another implementation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latent_tts.nn.diffusion import CosineSchedule, dpm_solver


@pytest.fixture(scope="module")
def schedule() -> CosineSchedule:
    return CosineSchedule()


def posterior_velocity(schedule: CosineSchedule, x: Tensor, t: int, parts: list[tuple[float, float, float]]) -> Tensor:
    """The exact E[v | x_t] where x_0 is a mixture of (weight, mean, deviation) in each dimension."""
    alpha, sigma = schedule.alpha[t].double(), schedule.sigma[t].double()
    logits, cleans = [], []
    for weight, mean, deviation in parts:
        variance = (alpha * deviation) ** 2 + sigma**2
        offset = x - alpha * mean
        logits.append(torch.log(torch.tensor(weight)) - variance.log() / 2 - offset**2 / (2 * variance))
        cleans.append(mean + deviation**2 * alpha / variance * offset)
    clean = (torch.stack(logits).softmax(dim=0) * torch.stack(cleans)).sum(dim=0)
    return alpha * (x - alpha * clean) / sigma - sigma * clean


def solve(schedule: CosineSchedule, parts: list, noise: Tensor, steps: int) -> Tensor:
    return dpm_solver(schedule, lambda x, t: posterior_velocity(schedule, x, t, parts), noise, steps)


def test_the_schedule_has_its_known_values(schedule):
    """sqrt(alpha_bar), computed apart (Nichol & Dhariwal's squared cosine, betas capped at 0.999)."""
    known = {0: 0.99998, 99: 0.98595, 249: 0.92033, 499: 0.70274, 749: 0.37983, 899: 0.15522}
    assert {t: round(float(schedule.alpha[t]), 5) for t in known} == pytest.approx(known, abs=1.1e-5)
    assert float(schedule.alpha[998]) == pytest.approx(1.558e-3, rel=1e-3)
    assert float(schedule.alpha[999]) == pytest.approx(4.93e-5, rel=1e-3)
    assert torch.allclose(schedule.alpha**2 + schedule.sigma**2, torch.ones(1000))
    assert torch.allclose(
        torch.tensor(schedule.log_snr)[10:], (schedule.alpha / schedule.sigma).log()[10:], rtol=1e-3, atol=1e-4
    )
    assert all(a > b for a, b in zip(schedule.log_snr, schedule.log_snr[1:]))


def test_noisy_frames_and_velocity_give_both_back(schedule):
    x, noise, t = torch.randn(50, 3), torch.randn(50, 3), torch.randint(1000, (50,))
    noisy, velocity = schedule.diffuse(x, noise, t)
    alpha, sigma = schedule.alpha[t, None], schedule.sigma[t, None]
    assert torch.allclose(alpha * noisy - sigma * velocity, x, atol=1e-5)
    assert torch.allclose(sigma * noisy + alpha * velocity, noise, atol=1e-5)


def test_one_point_is_found_in_one_step(schedule):
    """Data without any spread: the velocity points straight at it from everywhere."""
    noise = torch.randn(5, 2, dtype=torch.float64)
    for steps in (1, 2, 3, 30):
        assert torch.allclose(solve(schedule, [(1.0, 0.7, 0.0)], noise, steps), torch.tensor(0.7).double(), atol=1e-3)


def test_a_gaussian_is_sampled_exactly_in_the_limit(schedule):
    """The flow of Gaussian data is known: x_0 = mean + deviation * noise; the error falls with the steps."""
    noise, wanted = torch.linspace(-3, 3, 101, dtype=torch.float64)[:, None], None
    wanted = -0.4 + 0.6 * noise
    errors = [float((solve(schedule, [(1.0, -0.4, 0.6)], noise, n) - wanted).abs().max()) for n in (5, 10, 20, 80)]
    assert errors == sorted(errors, reverse=True) and errors[0] > 0.02
    assert errors[1] < 0.1 and errors[-1] < 0.01, errors


def test_the_moments_of_samples(schedule):
    noise = torch.randn(20000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    samples = solve(schedule, [(1.0, 2.0, 0.5)], noise, 20)
    assert samples.mean() == pytest.approx(2.0, abs=0.02) and samples.std() == pytest.approx(0.5, rel=0.05)


MIXTURE = [(0.3, -1.0, 0.2), (0.7, 1.5, 0.3)]


def test_a_mixture_converges_at_second_order(schedule):
    """Towards the solution with a step for every time, four times closer with twice the steps, but for the last one."""
    noise = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
    limit = solve(schedule, MIXTURE, noise, 999)
    errors = [float((solve(schedule, MIXTURE, noise, n) - limit).abs().mean()) for n in (10, 20, 40, 80)]
    assert all(b < 0.6 * a for a, b in zip(errors, errors[1:])) and errors[-1] < 0.01, errors


def test_a_mixture_is_sampled_in_its_proportions(schedule):
    noise = torch.randn(20000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    samples = solve(schedule, MIXTURE, noise, 50)
    left = samples[samples < 0.2]
    assert len(left) / len(samples) == pytest.approx(0.3, abs=0.02)
    assert left.mean() == pytest.approx(-1.0, abs=0.03) and left.std() == pytest.approx(0.2, rel=0.15)


def test_more_steps_than_there_are_times(schedule):
    """Times that fall together are taken once."""
    noise, times = torch.randn(3, 2, dtype=torch.float64), []

    def velocity(x: Tensor, t: int) -> Tensor:
        times.append(t)
        return posterior_velocity(schedule, x, t, MIXTURE)

    output = dpm_solver(schedule, velocity, noise, 1000)
    assert times == sorted(set(times), reverse=True) and len(times) >= 998
    assert torch.allclose(output, solve(schedule, MIXTURE, noise, 200), atol=1e-2)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 14, 15, 50])
def test_every_step_is_that_of_diffusers(schedule, steps):
    diffusers = pytest.importorskip("diffusers")
    other = diffusers.DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        solver_order=2,
        timestep_spacing="linspace",
        final_sigmas_type="zero",
        lower_order_final=True,
    )
    other.set_timesteps(steps)
    noise, seen = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), []

    def velocity(x: Tensor, t: int) -> Tensor:
        seen.append((t, x))
        return posterior_velocity(schedule, x, t, MIXTURE)

    seen.append((-1, dpm_solver(schedule, velocity, noise, steps)))
    x = noise
    assert other.timesteps.tolist() == [t for t, _ in seen[:-1]] or steps == 1
    for (t, mine), (_, after) in zip(seen, seen[1:]):
        assert torch.allclose(x, mine, rtol=1e-3, atol=1e-3), t
        x = other.step(posterior_velocity(schedule, x, t, MIXTURE), t, x).prev_sample
        assert torch.allclose(x, after, rtol=1e-3, atol=1e-3), t
