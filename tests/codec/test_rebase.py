"""Another basis of the latents: the frames of another codec, the sound of this one."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny import LATENT_DIM, press, tiny_codec

from latent_tts.codec.rebase import affine_fit, level, loudness, rebase
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


@pytest.fixture
def pressed(moved) -> torch.nn.Module:
    """A codec that got a basis in which one direction hardly moves, and its decoder magnifies it a hundred times."""
    return press(moved[0])


def test_a_levelled_codec_sounds_as_before_and_says_how_its_frames_moved(pressed, wav):
    before = copy.deepcopy(pressed)
    frames = before.encode(wav)
    matrix, offset = level(pressed, before.encoder(wav[:, 0])[0], loudest=0.8)
    assert torch.allclose(pressed.encode(wav), (frames.double() @ matrix.T + offset).float(), atol=1e-3)
    assert torch.allclose(pressed.decode(pressed.encode(wav)), before.decode(frames), atol=1e-4)


def test_levelling_stretches_what_is_loud_and_leaves_the_rest(pressed, wav):
    heard, directions = loudness(pressed)
    latents = pressed.encoder(wav[:, 0])[0]
    limit = float(heard[1]) * 1.01
    level(pressed, latents, limit)
    after = pressed.encoder(wav[:, 0])[0]
    assert heard[0] > 10 * limit
    assert torch.allclose(loudness(pressed)[0], heard.clamp(max=limit))
    moved_along = ((after - latents).double() @ directions.T).square().sum(dim=0)
    assert moved_along[0] > 1 and (moved_along[1:] < 1e-6 * moved_along[0]).all()
    frames = pressed.encode(wav)[0]
    assert torch.allclose(frames.mean(dim=0), torch.zeros(LATENT_DIM), atol=1e-3)
    assert torch.allclose(frames.std(dim=0), torch.ones(LATENT_DIM), atol=1e-3)


def test_noise_of_the_bottleneck_is_heard_less_in_levelled_latents(pressed, wav):
    @torch.no_grad()
    def harm(codec: torch.nn.Module) -> float:
        mu = codec.encoder(wav[:, 0])
        noisy = mu + 0.1 * torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))
        return float((codec.decoder(noisy) - codec.decoder(mu)).square().mean())

    before = harm(pressed)
    level(pressed, pressed.encoder(wav[:, 0])[0], float(loudness(pressed)[0][1]))
    assert harm(pressed) < before / 3
