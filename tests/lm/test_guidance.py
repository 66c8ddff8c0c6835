"""Both forms of guidance, on networks that count what they are asked."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latent_tts.lm.guidance import GUIDANCE

ANY_FORM = pytest.mark.parametrize("form", GUIDANCE)


class Network:
    """(x, time, cond) -> cond A + time x, and how many rows it was asked for."""

    def __init__(self):
        self.matrix, self.rows = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), 0

    def __call__(self, x: Tensor, time: float, cond: Tensor) -> Tensor:
        self.rows += len(x)
        return cond @ self.matrix + time * x


@ANY_FORM
@pytest.mark.parametrize("scale", [0, 0.5, 1.5, 3])
def test_a_linear_network_is_extrapolated(form, scale):
    """There the two forms are one: beyond the condition, as seen from the null."""
    network, cond, null, x = Network(), torch.randn(5, 3), torch.randn(3), torch.randn(5, 4)
    with_text, without = network(x, 2.0, cond), network(x, 2.0, null.expand(5, 3))
    network.rows = 0
    guided = GUIDANCE[form](network, cond, null, scale)(x, 2.0)
    assert torch.allclose(guided, without + scale * (with_text - without), atol=1e-5)
    assert network.rows == {"output": 10, "condition": 5}[form]


@ANY_FORM
def test_a_scale_of_one_is_none(form):
    """Bit for bit, and whatever the null holds."""
    network, cond, x = Network(), torch.randn(5, 3), torch.randn(5, 4)
    guided = GUIDANCE[form](network, cond, torch.full((3,), torch.nan), 1)
    assert torch.equal(guided(x, 2.0), network(x, 2.0, cond)) and network.rows == 10
