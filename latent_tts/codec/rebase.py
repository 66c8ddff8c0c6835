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

    Its encoder's last and its decoder's first linear map take the change up, the latter its inverse: what is encoded
    and decoded sounds as before, up to rounding. The noise of training, which no longer has one deviation for all
    directions of the new basis, is set to that of ``like``.
    """
    old, new = codec.bottleneck, like.bottleneck
    (mean, scale), (new_mean, new_scale) = ((b.mean.double(), b.scale.double()) for b in (old, new))
    matrix = matrix / new_scale[:, None] * scale  # from latents to latents
    offset = offset / new_scale + new_mean - matrix @ mean
    leave, enter, inverse = codec.encoder.leave, codec.decoder.enter, torch.linalg.inv(matrix)
    bias = enter.bias.double() - enter.weight.double() @ inverse @ offset
    leave.bias.copy_(matrix @ leave.bias.double() + offset)
    leave.weight.copy_(matrix @ leave.weight.double())
    enter.bias.copy_(bias)
    enter.weight.copy_(enter.weight.double() @ inverse)
    old.mean.copy_(new_mean)
    old.scale.copy_(new_scale)
