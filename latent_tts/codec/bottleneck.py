"""What stands between encoder and decoder: the sigma-VAE's Gaussian with a drawn, not learned, width."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latent_tts.codec.sizes import CodecConfig
from latent_tts.frames import FrameFormat


@dataclass(frozen=True)
class SigmaVAEConfig(CodecConfig):
    """Sizes of a codec whose frames are floats, standardised latents."""

    sigma_std: float = 0.5
    beta: float = 0.01

    def bottleneck(self) -> SigmaGaussian:
        return SigmaGaussian(self.latent_dim, self.sigma_std, self.beta)


class SigmaGaussian(nn.Module):
    """Mean-only bottleneck whose noise level is drawn once per example (LatentLM, Sun et al. 2024, section 3.2).

    ``z = mu + sigma * eps`` with one scalar ``sigma ~ N(0, (std / 0.8)^2)`` per example, so that E|sigma| = std; the
    penalty is ``beta * mean(mu^2)``. A learned variance would shrink to nothing and leave the decoder, and a language
    model that feeds on its own output, brittle.

    ``mean`` and ``scale`` (D,) standardise the latents for the language model: ``frames = (mu - mean) * scale``.
    They live here, with the weights they were measured on.
    """

    def __init__(self, dim: int, std: float = 0.5, beta: float = 0.01):
        super().__init__()
        self.frame_format, self.std, self.beta = FrameFormat(dim), std, beta
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def forward(self, mu: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Training's way: (B, N, D) -> (a draw of z (B, N, D), penalty, what to log)."""
        log = {"snr_db": self.snr_db(mu), "mu_rms": mu.detach().square().mean().sqrt()}
        return self.sample(mu), self.penalty(mu), log

    def sample(self, mu: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D), a draw of z."""
        shape = (mu.shape[0], 1, 1)
        sigma = torch.randn(shape, generator=generator, device=mu.device, dtype=mu.dtype) * (self.std / 0.8)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return mu + sigma * noise

    def penalty(self, mu: Tensor) -> Tensor:
        return self.beta * mu.square().mean()

    def snr_db(self, mu: Tensor) -> Tensor:
        """Latent signal-to-noise ratio: variance of mu around its mean over the mean noise power, in decibels."""
        signal = mu.detach().flatten(0, 1).float().var(dim=0).mean()
        return 10 * torch.log10(signal / (self.std / 0.8) ** 2) if self.std > 0 else signal.new_tensor(float("inf"))

    def measure(self, mu: Tensor) -> dict[str, Tensor]:
        """Set ``mean`` and ``scale`` from latents (M, D)."""
        self.mean.copy_(mu.mean(dim=0))
        self.scale.copy_(1 / mu.std(dim=0).clamp(min=1e-3))
        return {"snr_db": self.snr_db(mu[None])}

    def to_frames(self, mu: Tensor) -> Tensor:
        return (mu - self.mean) * self.scale

    def to_latents(self, frames: Tensor) -> Tensor:
        return frames / self.scale + self.mean

    @property
    def noise(self) -> Tensor:
        """(D,) standard deviation of the training noise in normalised frames."""
        return self.std / 0.8 * self.scale
