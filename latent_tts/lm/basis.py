"""A language model whose frames get another basis: it sees what it saw, and has to learn anew what it says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latent_tts.errors import UserError
from latent_tts.lm.conditioning import ReferenceEncoder
from latent_tts.lm.latent_lm import LatentLM


@torch.no_grad()
def follow(lm: LatentLM, matrix: Tensor, offset: Tensor) -> None:
    """Let ``lm`` see in frames ``matrix @ frame + offset`` what it saw in frames: what they enter it by takes the
    inverse, so the Transformer's states stay as they were.

    Its head stays as it is. It draws the directions that the change of basis leaves alone as before; the others it has
    to be taught. UserError where the head sees the frame before, too.
    """
    if lm.previous is not None:
        raise UserError("a language model with previous_frame cannot follow its frames into another basis")
    inverse = torch.linalg.inv(matrix)
    for enter in readers(lm):
        weight = enter.weight.double() @ inverse
        enter.bias.copy_(enter.bias.double() - weight @ offset)
        enter.weight.copy_(weight)


def readers(lm: LatentLM) -> list[nn.Linear]:
    """The linear maps by which frames enter."""
    return [lm.frame, *(module.enter for module in lm.modules() if isinstance(module, ReferenceEncoder))]
