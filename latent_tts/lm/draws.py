"""The random numbers of a batch's rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class RowDraws:
    """A generator for each row, so that what a row draws does not depend on its neighbours."""

    def __init__(self, seeds: Sequence[int], device: torch.device):
        self.device = device
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def normal(self, dim: int) -> Tensor:
        """(B, dim) of unit variance."""
        return torch.stack([torch.randn(dim, generator=g) for g in self.generators]).to(self.device)

    def uniform(self) -> Tensor:
        """(B, 1) in [0, 1)."""
        return torch.stack([torch.rand(1, generator=g) for g in self.generators]).to(self.device)
