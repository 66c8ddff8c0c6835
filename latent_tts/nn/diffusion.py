"""Discrete-time Gaussian diffusion with a cosine schedule and v-prediction, and the DPM-Solver++(2M) sampler."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class CosineSchedule(nn.Module):
    """alpha_t^2 of the squared-cosine schedule (Nichol & Dhariwal 2021) over ``steps`` discrete times.

    ``x_t = alpha_t x_0 + sigma_t eps``, alpha^2 + sigma^2 = 1; ``v = alpha_t eps - sigma_t x_0`` (Salimans & Ho 2022).
    """

    def __init__(self, steps: int = 1000):
        super().__init__()
        grid = torch.arange(steps + 1, dtype=torch.float64, device="cpu") / steps  # figures even on the meta device
        signal = torch.cos((grid + 0.008) / 1.008 * math.pi / 2).square()
        betas = (1 - signal[1:] / signal[:-1]).clamp(max=0.999)
        alpha = (1 - betas).cumprod(0).sqrt()
        self.steps = steps
        self.register_buffer("alpha", alpha.float(), persistent=False)
        self.register_buffer("sigma", (1 - alpha.square()).sqrt().float(), persistent=False)
        self.log_snr = (alpha.log() - 0.5 * torch.log1p(-alpha.square())).tolist()  # lambda_t = log(alpha / sigma)
        self.alphas, self.sigmas = self.alpha.tolist(), self.sigma.tolist()  # for the solver, which takes one at a time

    def diffuse(self, x: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Clean x and noise (M, D) at times t (M,) -> (x_t, v), both (M, D)."""
        alpha, sigma = self.alpha[t, None], self.sigma[t, None]
        return alpha * x + sigma * noise, alpha * noise - sigma * x


def solver_times(schedule: CosineSchedule, steps: int) -> list[int]:
    """The times at which ``dpm_solver`` evaluates: spread evenly from the last to the first. Times that fall together,
    where there are more steps than times, are taken once."""
    spread = torch.linspace(0, schedule.steps - 1, steps + 1).round().flip(0)[:-1].long().tolist()
    return list(dict.fromkeys(spread))


def dpm_solver(
    schedule: CosineSchedule, velocity: Callable[[Tensor, int], Tensor], noise: Tensor, steps: int
) -> Tensor:
    """Sample x_0 (B, D) from ``noise`` (B, D) with ``steps`` evaluations of ``velocity(x_t, t)``.

    DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2, midpoint form) on ``solver_times``; the first and the last step are
    first order, the last one ends at sigma = 0.
    """
    times = solver_times(schedule, steps)
    x, before, width = noise, None, 0.0
    for i, t in enumerate(times):
        alpha, sigma = schedule.alphas[t], schedule.sigmas[t]
        clean = alpha * x - sigma * velocity(x, t)
        if i == len(times) - 1:
            return clean
        after = times[i + 1]
        h = schedule.log_snr[after] - schedule.log_snr[t]
        direction = clean if before is None else clean + h / (2 * width) * (clean - before)
        x = schedule.sigmas[after] / sigma * x - schedule.alphas[after] * math.expm1(-h) * direction
        before, width = clean, h
    return x
