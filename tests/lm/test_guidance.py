"""Both forms of guidance, on a network that both are the same for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latent_tts.lm.guidance import GUIDANCE

ANY_FORM = pytest.mark.parametrize("form", GUIDANCE)
MATRIX = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def linear(cond: Tensor) -> Tensor:
    """(..., 3) -> (..., 4)."""
    return cond @ MATRIX


@ANY_FORM
@pytest.mark.parametrize("scale", [0, 0.5, 1.5, 3])
def test_a_linear_network_is_extrapolated(form, scale):
    """There the two forms are one: beyond the condition, as seen from the null."""
    cond, null = torch.randn(5, 3), torch.randn(3)
    conditions, joined = GUIDANCE[form](cond, null, scale)
    assert conditions.shape == ({"output": 2, "condition": 1}[form], 5, 3)
    wanted = linear(null) + scale * (linear(cond) - linear(null))
    assert torch.allclose(joined(linear(conditions)), wanted, atol=1e-5)


@ANY_FORM
def test_a_scale_of_one_is_none(form):
    """Bit for bit, and whatever the null holds."""
    cond = torch.randn(5, 3)
    conditions, joined = GUIDANCE[form](cond, torch.full((3,), torch.nan), 1)
    assert conditions.shape == (1, 5, 3) and torch.equal(joined(linear(conditions)), linear(cond))
