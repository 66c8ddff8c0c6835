"""The sizes that every language model of frames has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class LMConfig(ABC):
    """What extends it adds the sizes of one kind; its class decides which kind a recipe trains."""

    vocabulary: int = 106  # symbols of phones.txt
    dim: int = 384
    layers: int = 6
    heads: int = 6
    dropout: float = 0.1

    @abstractmethod
    def build(self) -> nn.Module:
        """A new FrameLM of these sizes."""
