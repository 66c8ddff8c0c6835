"""Another basis for a codec's latents: the same sound, other frames."""

from __future__ import annotations

import torch
from torch import Tensor

from latent_tts.codec.autoencoder import Codec
from latent_tts.errors import UserError


def affine_fit(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Rows x, y (M, D) -> a matrix (D, D) and an offset (D,), float64, so that ``x @ matrix.T + offset`` is y in least
    squares. UserError where M is too small to tell."""
    rows, dim = x.shape
    if rows < 4 * dim:
        raise UserError(f"{rows} frames are too few to fit {dim} floats to {dim} others; give more recordings")
    x = torch.nn.functional.pad(x.double(), (0, 1), value=1.0)
    found = torch.linalg.lstsq(x, y.double()).solution
    return found[:-1].T, found[-1]


@torch.no_grad()
def rebase(codec: Codec, like: Codec, matrix: Tensor, offset: Tensor) -> None:
    """Change a sigma-VAE so that its frames are ``matrix @ frame + offset``, in units of the latents of ``like``.

    What is encoded and decoded sounds as before, up to rounding. The noise of training, which no longer has one
    deviation for all directions of the new basis, is set to that of ``like``. Where frames of ``like`` hardly move in
    some direction and the codec's own do, the new ones hardly move, too, and the decoder magnifies it: ``loudness``
    tells, ``level`` mends it.
    """
    old, new = codec.bottleneck, like.bottleneck
    (mean, scale), (new_mean, new_scale) = ((b.mean.double(), b.scale.double()) for b in (old, new))
    matrix = matrix / new_scale[:, None] * scale  # from latents to latents
    _turn(codec, matrix, offset / new_scale + new_mean - matrix @ mean)
    old.mean.copy_(new_mean)
    old.scale.copy_(new_scale)


def loudness(codec: Codec) -> tuple[Tensor, Tensor]:
    """How much the decoder's first linear map magnifies (D,) each of D directions of latents, rows of (D, D), float64;
    the loudest first."""
    _, heard, directions = torch.linalg.svd(codec.decoder.enter.weight.detach().double(), full_matrices=False)
    return heard, directions


@torch.no_grad()
def level(codec: Codec, latents: Tensor, loudest: float) -> tuple[Tensor, Tensor]:
    """Stretch the latents of a sigma-VAE where its decoder magnifies them more than ``loudest`` times: to so much.

    The bottleneck's noise is as wide in all directions. One in which latents hardly move is drowned by it, and by what
    a language model errs, however much the decoder makes of it; a codec trained with that noise has none, but one whose
    basis was changed may. ``latents`` (M, D), as they were, are of speech: the new frames' mean and scale are measured
    on them. -> a matrix (D, D) and an offset (D,), float64: frames are ``matrix @ frame + offset`` of those before.
    """
    heard, directions = loudness(codec)
    matrix = directions.T @ torch.diag((heard / loudest).clamp(min=1)) @ directions
    bottleneck = codec.bottleneck
    mean, scale = bottleneck.mean.double(), bottleneck.scale.double()
    _turn(codec, matrix, torch.zeros_like(mean))
    bottleneck.measure((latents.double() @ matrix.T).float())
    new_mean, new_scale = bottleneck.mean.double(), bottleneck.scale.double()
    return matrix * new_scale[:, None] / scale, (matrix @ mean - new_mean) * new_scale


def _turn(codec: Codec, matrix: Tensor, offset: Tensor) -> None:
    """Make latents ``matrix @ latent + offset``: the encoder's last linear map takes the change up, the decoder's first
    its inverse."""
    leave, enter, inverse = codec.encoder.leave, codec.decoder.enter, torch.linalg.inv(matrix)
    bias = enter.bias.double() - enter.weight.double() @ inverse @ offset
    leave.bias.copy_(matrix @ leave.bias.double() + offset)
    leave.weight.copy_(matrix @ leave.weight.double())
    enter.bias.copy_(bias)
    enter.weight.copy_(enter.weight.double() @ inverse)
