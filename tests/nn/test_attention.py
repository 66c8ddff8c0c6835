"""Attention and the Transformer against their definitions, and what a state keeps apart."""

from __future__ import annotations

import pytest
import torch
from laws import assert_close, causal, streams

from latent_tts.nn.attention import CausalAttention, rotary, rotate
from latent_tts.nn.conv import CausalConv1d, ConvNeXtBlock, Stack
from latent_tts.nn.state import State
from latent_tts.nn.transformer import SwiGLU, Transformer


@pytest.fixture
def attention() -> CausalAttention:
    torch.manual_seed(0)
    return CausalAttention(24, 3).eval()


@pytest.fixture
def transformer() -> Transformer:
    torch.manual_seed(0)
    network = Transformer(32, 2, 4).eval()
    with torch.no_grad():
        for block in network.blocks:
            block.attention.out.weight.normal_(std=0.2)
    return network


def test_attention_is_its_formula(attention):
    """softmax(q k / sqrt(d)) v over the past, by loops over heads and steps."""
    x, width = torch.randn(2, 7, 24), 8
    q, k, v = attention.qkv(x).chunk(3, dim=2)
    cos, sin = rotary(torch.arange(7), width)
    wanted = torch.zeros(2, 7, 24)
    for head in range(3):
        part = slice(head * width, (head + 1) * width)
        keys, values = rotate(k[..., part], cos, sin), v[..., part]
        for t in range(7):
            query = rotate(q[:, t : t + 1, part], cos[t], sin[t])
            weights = (query @ keys[:, : t + 1].mT / width**0.5).softmax(dim=-1)
            wanted[:, t, part] = (weights @ values[:, : t + 1])[:, 0]
    assert_close(attention(x), attention.out(wanted), 1e-5)


def test_rotary_is_a_rotation_by_pairs():
    """Lengths stay, position 0 changes nothing, and pair i turns by base ** (-2 i / dim) a step."""
    x = torch.randn(1, 1, 5, 6)
    turned = rotate(x, *rotary(torch.arange(5), 6))
    assert torch.equal(turned[:, :, 0], x[:, :, 0])
    pairs, turned_pairs = (torch.complex(y[..., :3], y[..., 3:]) for y in (x, turned))
    rates = 10000 ** (-torch.arange(3) / 3)
    angle = torch.polar(torch.ones(5, 3), torch.arange(5)[:, None] * rates)
    assert torch.allclose(turned_pairs, pairs * angle, atol=1e-5)


@pytest.mark.parametrize("shift", [1, 17, 400])
def test_rotary_is_relative(shift):
    """A product of a turned query and a turned key depends on how far they are apart, not on where they are."""
    torch.manual_seed(0)
    q, k, positions = torch.randn(1, 1, 9, 16), torch.randn(1, 1, 9, 16), torch.arange(9)

    def products(first: int) -> torch.Tensor:
        table = rotary(positions + first, 16)
        return rotate(q, *table) @ rotate(k, *table).mT

    assert torch.allclose(products(shift), products(0), atol=1e-3)
    assert not torch.allclose(products(0), q @ k.mT, atol=0.1)


@pytest.mark.parametrize("sizes", [[9], [4, 5], [1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 7, 1]])
@pytest.mark.parametrize("garbage", [0.0, 100.0])
def test_padding_changes_nothing(transformer, sizes, garbage):
    """Rows aligned at their ends give what each gives alone, however the stream is cut and whatever is hidden."""
    rows = [torch.randn(1, length, 32) for length in (9, 6, 2)]
    batch = torch.full((3, 9, 32), garbage)
    for i, row in enumerate(rows):
        batch[i, 9 - row.shape[1] :] = row
    padding, state = torch.tensor([0, 3, 7]), State()
    output = torch.cat([transformer(piece, state, padding) for piece in batch.split(sizes, 1)], 1)
    assert output.isfinite().all()
    for i, row in enumerate(rows):
        assert_close(output[i : i + 1, 9 - row.shape[1] :], transformer(row))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_streams(transformer, size):
    streams(transformer, torch.randn(2, 11, 32), size)


def test_causal(transformer):
    causal(transformer, torch.randn(2, 11, 32), 5)


@pytest.mark.parametrize("kernel, size", [(1, 2), (3, 1), (7, 2), (7, 10)])
def test_convolutions_stream_and_are_causal(kernel, size):
    torch.manual_seed(0)
    for network in (CausalConv1d(4, 6, kernel), CausalConv1d(4, 4, kernel, groups=2)):
        streams(network, torch.randn(2, 15, 4), size)
        causal(network, torch.randn(2, 15, 4), 6)
    blocks = Stack(ConvNeXtBlock(4, kernel=kernel, scale=1.0) for _ in range(2))
    streams(blocks, torch.randn(2, 15, 4), size)


def test_a_fork_goes_its_own_way(transformer):
    """Two continuations of one prompt are what each would be alone; neither touches the prompt's state."""
    prompt, one, other = torch.randn(1, 5, 32), torch.randn(1, 3, 32), torch.randn(1, 3, 32)
    state = State()
    transformer(prompt, state)
    kept = {module: past.keys.clone() for module, past in state.items()}
    first, second = state.fork(), state.fork()
    outputs = [(transformer(a, first), transformer(b, second)) for a, b in zip(one.split(1, 1), other.split(1, 1))]
    for tail, output in zip((one, other), zip(*outputs)):
        assert_close(torch.cat(output, 1), transformer(torch.cat([prompt, tail], 1))[:, 5:])
    first[transformer.blocks[0].attention].keys.fill_(0)
    assert all(torch.equal(past.keys, kept[module]) for module, past in state.items())


def test_swiglu_is_its_formula():
    mlp, x = SwiGLU(10), torch.randn(3, 10)
    gate, up = x @ mlp.gate_up.weight[:64].T, x @ mlp.gate_up.weight[64:].T
    assert torch.allclose(mlp(x), (gate * gate.sigmoid() * up) @ mlp.down.weight.T, atol=1e-5)
    assert mlp.down.in_features == 64 and SwiGLU(192).down.in_features == 512
