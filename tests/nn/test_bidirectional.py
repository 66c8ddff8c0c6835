"""What a mask shows, attention under it, and what steers a Transformer."""

from __future__ import annotations

import torch
from laws import assert_close
from tiny import awaken
from torch import Tensor

from latent_tts.nn.bidirectional import MaskedTransformer, SteeredTransformer, sight
from latent_tts.nn.state import State
from latent_tts.nn.transformer import Transformer

PLACES = torch.arange(9).expand(2, -1)
ALL = torch.ones(2, 9, dtype=torch.bool)


def test_sight_is_up_to_a_reach_and_always_of_oneself():
    """Keys at places 1, 0, 2 and a padding; the queries are the last two, one of which reaches place 1."""
    mask = sight(torch.tensor([[1, 0, 2, 0]]), torch.tensor([[1, 9]]), torch.tensor([[True, True, True, False]]))
    assert mask.int().tolist() == [[[[1, 1, 1, 0], [1, 1, 1, 1]]]]
    mask = sight(torch.tensor([[5, 0, 2, 0]]), torch.tensor([[1, 1]]), torch.tensor([[True, False, True, True]]))
    assert mask.int().tolist() == [[[[0, 0, 1, 1], [0, 0, 0, 1]]]]


def test_under_a_causal_mask_it_is_the_causal_transformer():
    torch.manual_seed(0)
    masked, causal, x = MaskedTransformer(32, 2, 4), Transformer(32, 2, 4), torch.randn(2, 9, 32)
    causal.load_state_dict(masked.state_dict())
    assert_close(masked(x, PLACES, sight(PLACES, PLACES, ALL)), causal(x))


def test_places_are_relative_and_order_is_theirs():
    """Steps in another order, at places moved by as much as you like, are the same steps."""
    torch.manual_seed(0)
    network, x, order = MaskedTransformer(32, 2, 4), torch.randn(2, 9, 32), torch.randperm(9)
    wanted = network(x, PLACES, sight(PLACES, PLACES, ALL))
    moved = PLACES[:, order] + 40
    assert_close(network(x[:, order], moved, sight(moved, moved, ALL)), wanted[:, order])


def test_hidden_steps_change_nothing():
    """Those before a row shift it, which is nothing to it either; those behind it are seen if they are shown."""
    torch.manual_seed(0)
    network, x, places = awaken(MaskedTransformer(32, 2, 4)), torch.randn(2, 9, 32), torch.arange(9)[None]
    seen = (places >= torch.tensor([[0], [3]])) & (places < torch.tensor([[9], [7]]))
    y = network(x, places, seen[:, None, None])
    assert_close(y[1:, 3:7], network(x[1:, 3:7], places[:, :4], torch.ones(1, 1, 1, 4, dtype=torch.bool)))
    assert (network(x.flip(0), places, seen[:, None, None])[0, :1] - y[1, :1]).abs().max() > 1e-3


def test_a_state_is_left_as_it_is():
    """What came first is seen by each call after it, and by each alike."""
    torch.manual_seed(0)
    network, x, state = awaken(MaskedTransformer(32, 2, 4)), torch.randn(2, 9, 32), State()
    reach = torch.cat([PLACES[:, :4], torch.full((2, 5), 8)], dim=1)
    whole = network(x, PLACES, sight(PLACES, reach, ALL))
    first = network(x[:, :4], PLACES[:, :4], sight(PLACES[:, :4], reach[:, :4], ALL[:, :4]), state)
    assert_close(first, whole[:, :4])
    for _ in range(2):
        assert_close(network(x[:, 4:], PLACES[:, 4:], sight(PLACES, reach[:, 4:], ALL), state), whole[:, 4:])


def steered(network: SteeredTransformer, c: Tensor) -> Tensor:
    x = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(1))
    return network(x, c, PLACES, sight(PLACES, torch.full_like(PLACES, 9), ALL))


def test_steering_begins_as_none_and_is_row_by_row():
    torch.manual_seed(0)
    network, c, other = SteeredTransformer(32, 2, 4), *torch.randn(2, 2, 32)
    assert torch.equal(steered(network, c), steered(network, other))
    awaken(network)
    one, changed = steered(network, c), steered(network, torch.stack([c[0], other[1]]))
    assert_close(changed[0], one[0])
    assert (changed[1] - one[1]).abs().max() > 1e-2
