"""The random numbers of a batch's rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class RowDraws:
    """A generator for each row, so that what a row draws does not depend on its neighbours. It is numpy's whatever
    computes the rest: a seed draws the same in torch, in a graph and on any device."""

    def __init__(self, seeds: Sequence[int]):
        self.generators = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]

    def normal(self, dim: int) -> np.ndarray:
        """(B, dim) float32 of unit variance."""
        return np.stack([generator.standard_normal(dim, np.float32) for generator in self.generators])

    def uniform(self) -> np.ndarray:
        """(B, 1) in [0, 1)."""
        return np.array([[generator.random()] for generator in self.generators])
