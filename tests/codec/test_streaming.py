"""Chunked equals whole for every way of cutting a signal, and what a listener waits for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_close
from tiny import LATENT_DIM, sound, tiny_codec

from latent_tts.nn.state import State

FRAMES = 5
CODECS = {rate: tiny_codec(rate, 12.5) for rate in (16000, 24000)}
BOTH_RATES = pytest.mark.parametrize("rate", sorted(CODECS))


def pieces(length: int, cuts: list[float]) -> list[int]:
    """Sizes of the pieces that ``cuts``, shares of the whole, leave of ``length``; some may be empty."""
    places = sorted(round(cut * length) for cut in cuts)
    return [b - a for a, b in zip([0, *places], [*places, length])]


@BOTH_RATES
@given(cuts=st.lists(st.floats(0, 1), max_size=12))
@settings(max_examples=25, deadline=None)
@torch.inference_mode()
def test_the_encoder_takes_any_pieces(rate, cuts):
    codec, state = CODECS[rate], State()
    wav = sound(1, FRAMES * codec.hop_length + 77)[:, None]
    stream = torch.cat([wav, wav.new_zeros(1, 1, codec.lookahead)], dim=2)
    frames = [codec.encode(piece, state) for piece in stream.split(pieces(stream.shape[2], cuts), dim=2)]
    assert_close(torch.cat(frames, dim=1), codec.encode(wav))


@BOTH_RATES
@pytest.mark.parametrize("size", range(1, FRAMES + 2))
@torch.inference_mode()
def test_the_decoder_takes_any_chunks(rate, size):
    codec, state, frames = CODECS[rate], State(), torch.randn(2, FRAMES, LATENT_DIM)
    parts = [codec.decode(chunk, state) for chunk in frames.split(size, dim=1)]
    assert_close(torch.cat(parts, dim=2), codec.decode(frames))


@BOTH_RATES
@torch.inference_mode()
def test_a_frame_is_heard_when_it_comes(rate):
    """The decoder's latency is one frame: frame n changes the samples from its own first one on, and none before."""
    codec, frames = CODECS[rate], torch.randn(1, FRAMES, LATENT_DIM)
    other = frames.clone()
    other[:, 2] += 1
    changed = (codec.decode(other) - codec.decode(frames))[0, 0].abs() > 1e-5
    first = int(changed.nonzero()[0])
    assert 2 * codec.hop_length <= first < 2 * codec.hop_length + 2 * codec.config.stft_hop
