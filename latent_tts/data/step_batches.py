"""Batches by the number of the training step, which several processes share row by row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from torch.utils.data import Dataset

Row = TypeVar("Row")


class StepBatches(Dataset, ABC):
    """Item ``step`` is the whole batch of a training step; ``share`` is the part of it that one process learns from.

    A batch depends on the data set's seed and the step alone, never on the number of processes or on what was drawn
    before, so a run that is resumed, with as many processes or with others, sees what the unbroken one would have seen.
    """

    steps: int

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int):
        return self.share(step, 0, 1)

    @abstractmethod
    def share(self, step: int, rank: int, world: int):
        """The rows of process ``rank`` of ``world`` of the batch of ``step``."""


def dealt(rows: Sequence[Row], rank: int, world: int) -> list[Row]:
    """The rows of process ``rank``, dealt like cards: neighbours in length go to different processes.

    Where rows are fewer than processes some are dealt twice, since a process without any could not go along.
    """
    return list(rows[rank::world]) or [rows[rank % len(rows)]]


class Consecutive(StepBatches):
    """One data set's steps after another's."""

    def __init__(self, parts: list[StepBatches]):
        self.parts, self.steps = parts, sum(map(len, parts))

    def share(self, step: int, rank: int, world: int):
        for part in self.parts:
            if step < len(part):
                return part.share(step, rank, world)
            step -= len(part)
        raise IndexError(step)
