"""What stands between encoder and decoder of the RVQ twin: codebooks, one behind another; its frames are codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latent_tts.codec.sizes import CodecConfig
from latent_tts.errors import UserError
from latent_tts.frames import FrameFormat

WINDOW = 16  # frames an entry, over which training watches how codebooks are used


@dataclass(frozen=True)
class RVQConfig(CodecConfig):
    """Sizes of a codec whose frames are codes."""

    codebooks: int = 8  # codes a frame
    codebook_size: int = 1024
    commitment: float = 0.25
    decay: float = 0.95  # of the averages that entries follow
    dead_below: float = 0.2  # frames a batch: an entry chosen less often is placed anew; even use is frames / entries

    def bottleneck(self) -> ResidualVQ:
        return ResidualVQ(
            self.latent_dim, self.codebooks, self.codebook_size, self.commitment, self.decay, self.dead_below
        )


class ResidualVQ(nn.Module):
    """Residual vector quantiser (SoundStream, Zeghidour et al. 2021; the layers are those of vector-quantize-pytorch).

    Each codebook takes the entry nearest to what those before it left over. An entry is the moving average of what it
    was chosen for; the first batch places all by k-means, and one that is hardly chosen is placed anew. So there are no
    parameters, and no learning in ``eval`` mode. Gradients pass straight through to the encoder, once (not once a
    codebook); the penalty ``commitment * sum over codebooks of mean((left over - entry)^2)`` keeps it near.
    """

    noise = None

    def __init__(
        self,
        dim: int,
        codebooks: int = 8,
        size: int = 1024,
        commitment: float = 0.25,
        decay: float = 0.95,
        dead_below: float = 0.2,
    ):
        super().__init__()
        self.frame_format, self.commitment = FrameFormat(codebooks, size), commitment
        self.quantiser = _quantiser_class()(
            dim=dim,
            num_quantizers=codebooks,
            codebook_size=size,
            kmeans_init=True,
            decay=decay,
            threshold_ema_dead_code=dead_below,
            rotation_trick=False,
        )
        self.register_buffer("recent", torch.full((WINDOW * size, codebooks), -1), persistent=False)

    def forward(self, mu: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Training's way: (B, N, D) -> (z (B, N, D), penalty, what to log: the use of codebooks of late among it)."""
        with torch.autocast(mu.device.type, enabled=False):
            mu = mu.float()
            nearest, codes, left = self.quantiser(mu)
        self.recent.copy_(torch.cat([self.recent, codes.flatten(0, 1)])[-len(self.recent) :])
        penalty = self.commitment * left.sum()
        log = {"commitment": left.detach().sum(), "mu_rms": mu.detach().square().mean().sqrt()}
        seen = self.recent[self.recent[:, 0] >= 0]
        return mu + (nearest - mu).detach(), penalty, log | codebook_use(seen, self.frame_format.entries)

    def to_frames(self, mu: Tensor) -> Tensor:
        """(B, N, D) -> codes (B, N, Q) int64."""
        with torch.autocast(mu.device.type, enabled=False):
            return self.quantiser(mu.float(), freeze_codebook=True)[1]

    def to_latents(self, frames: Tensor) -> Tensor:
        """Codes (B, N, Q) -> (B, N, D)."""
        entries = self.quantiser.codebooks  # (Q, entries, D)
        return entries[torch.arange(len(entries), device=frames.device), frames].sum(dim=2)

    def measure(self, mu: Tensor) -> dict[str, Tensor]:
        """The use of codebooks over latents (M, D). Codes need no statistics: nothing is set."""
        codes = torch.cat([self.to_frames(piece[None])[0] for piece in mu.split(4096)])
        return codebook_use(codes, self.frame_format.entries)


def codebook_use(codes: Tensor, size: int) -> dict[str, Tensor]:
    """Of codes (M, Q), for every codebook k from 1: ``use_k``, the share of its ``size`` entries that occur, and
    ``perplexity_k``, the exponential of their entropy: ``size`` where all occur alike, 1 where one does."""
    found = {}
    for k, column in enumerate(codes.unbind(1), start=1):
        share = torch.bincount(column, minlength=size) / len(codes)
        found |= {f"use_{k}": (share > 0).float().mean(), f"perplexity_{k}": torch.special.entr(share).sum().exp()}
    return found


def _quantiser_class() -> type[nn.Module]:
    try:
        from vector_quantize_pytorch import ResidualVQ, vector_quantize_pytorch
    except ImportError:
        raise UserError("an rvq codec needs vector-quantize-pytorch: pip install 'latent-tts[train]'") from None
    vector_quantize_pytorch.logger.disable("vector_quantize_pytorch")  # a first batch with less frames than entries
    return ResidualVQ
