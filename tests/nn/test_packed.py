"""Packed linear layers against those they replace."""

from __future__ import annotations

import pytest
import torch
from laws import assert_close
from torch import nn

from latent_tts.nn.packed import PackedLinear, packed

pytestmark = pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines, reason="no FBGEMM on this machine"
)


def half(linear: nn.Linear) -> nn.Linear:
    """With weights that fp16 holds exactly, as those of a model directory are."""
    linear.weight.data = linear.weight.data.half().float()
    return linear.requires_grad_(False)


@pytest.mark.parametrize("shape", [(1, 24), (3, 24), (2, 5, 24), (2, 3, 70, 24)])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_it_is_the_layer_it_replaces(shape, bias):
    linear, x = half(nn.Linear(24, 33, bias=bias)), torch.randn(shape)
    assert_close(PackedLinear(linear)(x), linear(x), 1e-5)


@torch.inference_mode()
def test_a_network_is_replaced_to_its_depths_and_nothing_else():
    network = nn.Sequential(half(nn.Linear(8, 16)), nn.Sequential(nn.GELU(), half(nn.Linear(16, 4))), nn.LayerNorm(4))
    x = torch.randn(7, 8)
    wanted = network(x)
    assert packed(network) is network
    assert isinstance(network[0], PackedLinear) and isinstance(network[1][1], PackedLinear)
    assert isinstance(network[2], nn.LayerNorm) and network[0].out_features == 16
    assert_close(network(x), wanted, 1e-5)
