"""Frames in another basis: a language model that follows sees what it saw."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import LATENT_DIM, LM_KINDS, tiny_lm, utterance

from latent_tts.errors import UserError
from latent_tts.frames import stack
from latent_tts.lm.basis import follow

BATCH = stack([utterance(6, 15, prompt=9, prompt_phones=5, seed=1), utterance(4, 12, prompt=4, seed=2)])


@pytest.mark.parametrize("kind", LM_KINDS)
@torch.no_grad()
def test_states_stay(kind):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.eye(LATENT_DIM) + 0.3 * torch.randn(LATENT_DIM, LATENT_DIM, generator=generator)
    matrix, offset = matrix.double(), torch.linspace(-1, 1, LATENT_DIM).double()
    moved = replace(BATCH, frames=(BATCH.frames.double() @ matrix.T + offset).float())
    lm = tiny_lm(kind=kind)
    _, before, _ = lm.learnt(BATCH)
    _, untold, _ = lm.learnt(moved)
    follow(lm, matrix, offset)
    frames, after, _ = lm.learnt(moved)
    assert not torch.allclose(untold, before, atol=1e-2)
    assert torch.allclose(after, before, atol=1e-4)
    assert len(frames) == len(after)


def test_a_head_that_sees_the_frame_before_cannot_follow():
    with pytest.raises(UserError, match="previous_frame"):
        follow(tiny_lm(previous_frame=True), torch.eye(LATENT_DIM).double(), torch.zeros(LATENT_DIM).double())
