"""How the pointer's moves are drawn, and how text and references are seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import awaken, utterance

from latent_tts.frames import Sampling
from latent_tts.lm.conditioning import AlignedText, ReferenceEncoder, pointers_of
from latent_tts.lm.pointer import PointerWalk, onsets_of, softmax, tilt


@given(st.lists(st.floats(-2.5, 2.5), min_size=2, max_size=8), st.floats(0.25, 4), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_tilt_has_the_mean_that_was_asked_for(logits, speed, masked):
    """``speed`` times the old mean, as far as the support goes; what is impossible stays so; ratios change by a
    constant factor from each move to the next, which is what makes it the nearest such distribution."""
    p = softmax(np.array([logits]))
    p[:, 1:][:, len(logits) - 1 - min(masked, len(logits) - 2) :] = 0
    p = p / p.sum()
    moves = np.arange(p.shape[1])
    tilted = tilt(p, speed)
    most = float(moves[p[0] > 0].max()) * 0.99
    assert float(tilted.sum()) == pytest.approx(1) and ((tilted > 0) == (p > 0)).all()
    assert float((tilted * moves).sum()) == pytest.approx(min(speed * float((p * moves).sum()), most), abs=2e-3)
    ratios = np.diff(np.log((tilted / np.where(p > 0, p, 1))[p > 0]))
    assert np.allclose(ratios, ratios[:1], atol=1e-4)


def test_tilt_works_row_by_row_and_speed_one_is_nothing():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.9, 0.0], [1.0, 0.0, 0.0]])
    assert np.allclose(tilt(p[:1], 1.0), p[:1], atol=1e-4)
    rows = np.concatenate([tilt(row[None], 2.0) for row in p])
    assert np.allclose(tilt(p, 2.0), rows) and np.isfinite(rows).all() and np.array_equal(rows[2], p[2])


def test_moves_are_drawn_in_their_proportions():
    """With temperature and, tempered towards the likeliest, with less of it."""
    p = np.array([[0.5, 0.3, 0.15, 0.05]])
    for temperature in (1.0, 0.5):
        walk = PointerWalk(utterance(5000, 0), 3, Sampling(duration_temperature=temperature))
        drawn = np.concatenate([walk.step(np.log(p)) for _ in range(2000)])
        wanted = p[0] ** (1 / temperature)
        share = np.bincount(drawn, minlength=4) / 2000
        assert np.allclose(share, wanted / wanted.sum(), atol=0.04)


def test_pointers_count_what_has_begun():
    """The picture in AlignedText's docstring."""
    starts, lens = torch.tensor([[0, 1, 1, 4]]), torch.tensor([4])
    assert pointers_of(starts, lens, torch.tensor([5]), 7).tolist() == [[0, 1, 3, 3, 3, 4, 5]]
    assert pointers_of(starts, torch.tensor([2]), torch.tensor([3]), 5).tolist() == [[0, 1, 2, 2, 3]]


def test_phones_of_one_frame_share_it():
    """The first begins with the sound, whenever the pointer moved first."""
    begun = np.array([1, 1, 3, 7])
    wanted = [0, 2.25, 2.75, 3.125, 3.375, 3.625, 3.875]
    assert onsets_of(begun, 7).tolist() == wanted and onsets_of(begun[2:], 3).tolist() == [0, 0.5, pytest.approx(5 / 6)]


def test_windows_hold_the_phones_around_the_pointer():
    """Text states numbered, looked at through an identity: -1 is the edge before the text, L the edge behind it."""
    text = AlignedText(10, 1, 6, layers=0)
    numbers = torch.arange(-1.0, 5)[None, :, None]
    for layer, size in ((text.look_before, 6), (text.look_after, 6)):
        layer.weight.data, layer.bias.data = torch.eye(size), torch.zeros(size)
    pointers = torch.tensor([[0, 2, 5]])
    before, after = text.window_before(numbers, pointers), text.window_after(numbers, pointers)
    assert before.tolist() == [[[-1, 0, 1, 2, 3, 4], [1, 2, 3, 4, 4, 4], [4] * 6]]
    assert after.tolist() == [[[-1, -1, -1, -1, 0, 1], [-1, -1, 0, 1, 2, 3], [1, 2, 3, 4, 4, 4]]]


def test_text_states_do_not_know_the_padding():
    torch.manual_seed(0)
    text = awaken(AlignedText(20, 8, 4))
    ids = torch.tensor([[3, 4, 5, 19, 19], [6, 7, 8, 9, 10]])
    states = text.encode(ids, torch.tensor([3, 5]))
    alone = text.encode(ids[:1, :3], torch.tensor([3]))
    assert states.shape == (2, 7, 8) and torch.allclose(states[:1, :5], alone, atol=1e-6)
    assert torch.equal(states[0, 4:], text.edges[1].expand(3, 8)) and torch.equal(states[1, 0], text.edges[0])


def test_references_do_not_know_the_padding():
    torch.manual_seed(0)
    encoder = awaken(ReferenceEncoder(4, 8, 5))
    frames, lens = torch.randn(3, 9, 4), torch.tensor([9, 4, 0])
    voices = encoder(frames, lens)
    for i in (0, 1):
        assert torch.allclose(voices[i], encoder(frames[i : i + 1, : lens[i]], lens[i : i + 1])[0], atol=1e-5)
    assert torch.equal(voices[2], encoder.nobody) and torch.equal(encoder(frames[:1, :0], lens[2:])[0], encoder.nobody)
    assert (voices[0] - voices[1]).abs().max() > 1e-3
