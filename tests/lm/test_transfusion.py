"""Transfusion: causal before the block, open inside it, and a length known beforehand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from laws import assert_close, causal
from tiny import QUICK, speak, tiny_whole_lm, utterance
from torch import Tensor

from latent_tts.frames import Sampling, stack
from latent_tts.lm.transfusion import TransfusionLM
from latent_tts.nn.adaln import sinusoids
from latent_tts.nn.bidirectional import sight

PROMPTS = [utterance(6, 0, prompt=9, prompt_phones=5, seed=1), utterance(9, 0, prompt=4, seed=2), utterance(4, 0)]


@pytest.fixture
def lm() -> TransfusionLM:
    return tiny_whole_lm("transfusion_lm")


@torch.inference_mode()
def velocity(lm: TransfusionLM, prompt, x: Tensor, forgotten: bool = False) -> Tensor:
    prefix, _ = lm.read(prompt)
    counts = torch.full((len(x),), x.shape[1])
    return lm.velocity(x, torch.tensor([300]), counts, prefix.forgotten() if forgotten else prefix)


def test_what_is_before_an_utterance_is_causal(lm):
    def states(x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1]).expand(len(x), -1)
        return lm.transformer(x, places, sight(places, places, torch.ones_like(places, dtype=torch.bool)))

    causal(states, torch.randn(2, 15, 32), 8)


def test_the_mark_has_seen_all_of_it(lm):
    """Text and reference, the last frame of it too; a length hangs on all phones."""
    prompt = PROMPTS[0]
    others = [
        replace(prompt, frames=torch.cat([prompt.frames[:, :-1], prompt.frames[:, -1:] + 1], 1)),
        replace(prompt, text=torch.cat([prompt.text[:, :-1], prompt.text[:, -1:] + 1], 1)),
    ]
    _, length = lm.read(prompt)
    assert all((lm.read(other)[1] - length).abs() > 1e-4 for other in others)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prefix_that_is_kept_is_one_that_is_read_again(lm, prompt):
    """Prefix and block in one pass, under one mask."""
    x, time = torch.randn(1, 7, 6), torch.tensor([300])
    inputs, places, visible = lm._before(prompt)
    block = lm.frame(x) + lm.segment.weight[0] + lm.time(sinusoids(time))[:, None]
    own = prompt.text_lens + prompt.prompt_lens + 1 + torch.arange(7)[None]
    together, shown = torch.cat([places, own], 1), torch.cat([visible, torch.ones_like(own, dtype=torch.bool)], 1)
    reach = torch.cat([places, own[:, -1:].expand(1, 7)], 1)
    states = lm.transformer(torch.cat([inputs, block], 1), together, sight(together, reach, shown))
    assert_close(velocity(lm, prompt, x), lm.leave(states[:, -7:]).detach())


def test_inside_a_block_each_frame_sees_each(lm):
    x = torch.randn(1, 7, 6)
    for place in (0, 6):
        other = x.clone()
        other[:, place] += 1
        changed = (velocity(lm, PROMPTS[0], other) - velocity(lm, PROMPTS[0], x)).abs().amax(dim=2)
        assert (changed > 1e-4).all()


def test_guidance_leads_away_from_an_utterance_alone(lm):
    """What is forgotten has no part, whichever it was."""
    x = torch.randn(1, 7, 6)
    assert_close(velocity(lm, PROMPTS[0], x, forgotten=True), velocity(lm, PROMPTS[1], x, forgotten=True))
    assert (velocity(lm, PROMPTS[0], x) - velocity(lm, PROMPTS[0], x, forgotten=True)).abs().max() > 1e-3
    none, some, much = (speak(lm, PROMPTS[0], Sampling(steps=3, guidance=g))[0] for g in (1, 2, 4))
    assert (none - some).norm() > 1e-3 and (much - none).norm() > 1.5 * (some - none).norm()


def test_a_dropped_prefix_is_a_forgotten_one(lm):
    """In training it is hidden, in speaking it is not there."""
    batch, x = stack(PROMPTS), torch.randn(3, 7, 6)
    prefix, _ = lm.read(batch)
    hidden = prefix._replace(visible=torch.zeros_like(prefix.visible))
    counts = torch.tensor([7, 5, 2])
    seen = [lm.velocity(x, torch.tensor([300]), counts, p).detach() for p in (hidden, prefix.forgotten())]
    for row, other, count in zip(*seen, counts):
        assert_close(row[:count], other[:count])


def test_alignments_are_not_needed(lm):
    batch, losses = stack([utterance(7, 20, 6, 3), utterance(4, 9)]), []
    for starts in (batch.starts, batch.starts.flip(1)):
        torch.manual_seed(0)
        losses.append(lm.loss(replace(batch, starts=starts))["loss"])
    assert torch.equal(*losses)
    (chunk,) = lm.generate(PROMPTS[0], QUICK)
    assert (chunk.phones == -1).all()
