"""Classifier-free guidance (Ho & Salimans 2022) of a head, in two forms: on what it says, or on what it is given.

A form takes conditions (B, H), the null condition (H,) and a scale; 1 is no guidance, and the null is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Guided(NamedTuple):
    """At which conditions a network is to be asked, and what to make of its answers."""

    conditions: Tensor  # (R, B, H)
    joined: Callable[[Tensor], Tensor]  # answers (R, B, D) -> (B, D)


Guidance = Callable[[Tensor, Tensor, float], Guided]


def guide_output(cond: Tensor, null: Tensor, scale: float) -> Guided:
    """without + scale * (with - without) of two answers, at twice the cost."""
    if scale == 1:
        return Guided(cond[None], lambda answers: answers[0])
    both = torch.stack([cond, null.expand_as(cond)])
    return Guided(both, lambda answers: answers[1] + scale * (answers[0] - answers[1]))


def guide_condition(cond: Tensor, null: Tensor, scale: float) -> Guided:
    """One answer, at null + scale * (cond - null), as in SLED (Ma et al. 2025) and CALM (Rouard et al. 2025)."""
    beyond = cond if scale == 1 else null + scale * (cond - null)
    return Guided(beyond[None], lambda answers: answers[0])


def answers(guide: Guidance, scale: float) -> int:
    """How many answers of a network a frame takes."""
    return len(guide(torch.zeros(1, 1), torch.zeros(1), scale).conditions)


GUIDANCE: dict[str, Guidance] = {"output": guide_output, "condition": guide_condition}
