"""Classifier-free guidance (Ho & Salimans 2022) of a head, in two forms.

Both take ``network(x, *times, cond)`` -> (B, D), conditions (B, H), the null condition (H,) and a scale, and give a
function of ``(x, *times)``. A scale of 1 is no guidance: the network at the condition, and the null is not asked.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Network = Callable[..., Tensor]
Guidance = Callable[[Network, Tensor, Tensor, float], Network]


def guide_output(network: Network, cond: Tensor, null: Tensor, scale: float) -> Network:
    """without + scale * (with - without): what the network says at both conditions, two rows for one."""
    if scale == 1:
        return lambda x, *times: network(x, *times, cond)
    both = torch.cat([cond, null.expand_as(cond)])

    def guided(x: Tensor, *times: float) -> Tensor:
        with_text, without = network(x.repeat(2, 1), *times, both).chunk(2)
        return without + scale * (with_text - without)

    return guided


def guide_condition(network: Network, cond: Tensor, null: Tensor, scale: float) -> Network:
    """The network at null + scale * (cond - null), as in SLED (Ma et al. 2025) and CALM (Rouard et al. 2025): at no
    cost."""
    beyond = cond if scale == 1 else null + scale * (cond - null)
    return lambda x, *times: network(x, *times, beyond)


GUIDANCE: dict[str, Guidance] = {"output": guide_output, "condition": guide_condition}
