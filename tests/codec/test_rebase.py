"""Another basis of the latents: the frames of another codec, the sound of this one."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny import LATENT_DIM, tiny_codec

from latent_tts.codec.rebase import affine_fit, rebase
from latent_tts.errors import UserError


@pytest.fixture
def wav() -> torch.Tensor:
    return 0.1 * torch.randn(1, 1, 400 * 1280, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def moved() -> tuple[torch.nn.Module, torch.nn.Module]:
    """A codec, and one whose frames are a linear map of its own and whose latents have other statistics."""
    like, codec = tiny_codec(), tiny_codec()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        mixed = torch.eye(LATENT_DIM) + 0.3 * torch.randn(LATENT_DIM, LATENT_DIM, generator=generator)
        codec.encoder.leave.weight.copy_(mixed @ codec.encoder.leave.weight)
        codec.encoder.leave.bias.add_(0.7)
        codec.bottleneck.scale.mul_(1.7)
    return codec, like


def test_a_fit_finds_an_affine_map():
    matrix, offset = torch.randn(5, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    x = torch.randn(400, 5)
    found = affine_fit(x, x.double() @ matrix.T + offset)
    assert torch.allclose(found[0], matrix) and torch.allclose(found[1], offset)


def test_too_few_frames_say_so():
    with pytest.raises(UserError, match="19 frames are too few"):
        affine_fit(torch.randn(19, 5), torch.randn(19, 5))


def test_frames_become_those_of_the_other_and_sound_stays(moved, wav):
    codec, like = moved
    before, wanted = copy.deepcopy(codec), like.encode(wav)
    rebase(codec, like, *affine_fit(before.encode(wav)[0], wanted[0]))
    assert not torch.allclose(before.encode(wav), wanted, atol=0.1)
    assert torch.allclose(codec.encode(wav), wanted, atol=1e-3)
    assert torch.allclose(codec.decode(codec.encode(wav)), before.decode(before.encode(wav)), atol=1e-4)
    assert torch.equal(codec.bottleneck.noise, like.bottleneck.noise)


def test_frames_that_no_linear_map_gives_leave_the_sound_alone(wav):
    codec, like = tiny_codec(seed=3), tiny_codec(seed=4)
    before = copy.deepcopy(codec)
    rebase(codec, like, *affine_fit(before.encode(wav)[0], like.encode(wav)[0]))
    assert torch.allclose(codec.decode(codec.encode(wav)), before.decode(before.encode(wav)), atol=1e-3)
