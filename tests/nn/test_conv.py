"""The transposed convolution against its definition, and in a stream."""

from __future__ import annotations

import pytest
import torch
from laws import assert_close, causal, streams

from latent_tts.nn.conv import CausalConvTranspose1d


@pytest.mark.parametrize("stride, size", [(2, 1), (2, 3), (5, 2)])
def test_it_streams_and_is_causal(stride, size):
    torch.manual_seed(0)
    network = CausalConvTranspose1d(4, 3, stride)
    streams(network, torch.randn(2, 7, 4), size)
    causal(network, torch.randn(2, 7, 4), 3)


def test_a_sample_sees_its_own_step_and_the_one_before():
    network, x = CausalConvTranspose1d(4, 3, 5), torch.randn(1, 6, 4)
    weight, bias = network.conv.weight, network.conv.bias
    place, step = 2, 4
    wanted = x[0, step] @ weight[:, :, place] + x[0, step - 1] @ weight[:, :, 5 + place] + bias
    output = network(x)
    assert output.shape == (1, 30, 3)
    assert_close(output[0, step * 5 + place], wanted, 1e-5)
