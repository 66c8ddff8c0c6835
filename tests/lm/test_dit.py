"""A diffusion Transformer with given durations: when its phones are said, and what it looks at."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from laws import assert_close
from tiny import QUICK, speak, tiny_whole_lm, utterance
from torch import Tensor, nn

from latent_tts.frames import Sampling, Utterances, stack
from latent_tts.lm.dit import DiTLM, euler

PROMPTS = [utterance(6, 0, prompt=9, prompt_phones=5, seed=1), utterance(9, 0, prompt=4, seed=2), utterance(4, 0)]


@pytest.fixture
def lm() -> DiTLM:
    return tiny_whole_lm("dit_lm")


def conditions(lm: DiTLM, batch: Utterances) -> Tensor:
    return lm.conditions(batch, lm.text.encode(batch.text, batch.text_lens)).detach()


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
def test_phones_are_said_when_their_durations_say(lm, speed):
    """Each row says its phones in order, one at least in the first frame, and all of them."""
    (chunk,) = lm.generate(stack(PROMPTS), Sampling(steps=1, speed=speed))
    for begun, alive, prompt in zip(chunk.phones, chunk.alive, PROMPTS):
        begun = begun[alive]
        assert begun[0] >= 1 and (begun.diff() >= 0).all()
        assert begun[-1] == int(prompt.text_lens - prompt.prompt_text_lens)


def test_durations_that_were_predicted(lm):
    """Two frames a phone: the second frame of each has nothing new."""
    nn.init.zeros_(lm.duration[-1].weight)
    nn.init.constant_(lm.duration[-1].bias, torch.tensor(2.0).log())
    (chunk,) = lm.generate(PROMPTS[0], Sampling(steps=1))
    assert chunk.phones.tolist() == [[1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]]


def test_durations_hang_on_text_voice_and_tempo(lm):
    prompt = PROMPTS[0]
    others = [
        replace(prompt, frames=prompt.frames + 1),
        replace(prompt, text=prompt.text.flip(1)),
        replace(prompt, prompt_lens=prompt.prompt_lens - 3),
        replace(prompt, prompt_text_lens=prompt.prompt_text_lens * 0),
    ]

    def durations(prompt: Utterances) -> Tensor:
        return lm.log_durations(prompt, lm.text.encode(prompt.text, prompt.text_lens))

    assert all((durations(other) - durations(prompt)).abs().max() > 1e-4 for other in others)
    warm = Sampling(steps=3, duration_temperature=2.0)
    assert torch.equal(speak(lm, prompt, warm)[0], speak(lm, prompt, QUICK)[0])


def test_what_is_to_be_filled_in_is_not_seen(lm):
    """Of frames a condition has those of the reference alone, of phones those around it."""
    row = utterance(7, 20, prompt=6, prompt_phones=3)
    seen = conditions(lm, row)
    other = torch.cat([row.frames[:, :6], row.frames[:, 6:] + 1], 1)
    assert torch.equal(conditions(lm, replace(row, frames=other)), seen)
    changed = conditions(lm, replace(row, frames=row.frames + 1)) - seen
    assert (changed[:, :6].abs().amax(dim=2) > 1e-3).all() and not changed[:, 6:].any()
    later = torch.cat([row.text[:, :-1], row.text[:, -1:] % 90 + 1], 1)
    changed = (conditions(lm, replace(row, text=later)) - seen).abs().amax(dim=(0, 2))
    assert changed[-1] > 1e-4


def test_a_reference_that_cannot_be_read_has_no_phones(lm):
    """Its frames are context all the same."""
    row = utterance(7, 20, prompt=6)
    with torch.no_grad():
        lm.begun.weight.zero_()
    wanted = lm.text.unknown + lm.segment.weight[1] + lm.clean(row.frames[:, :6])
    assert_close(conditions(lm, row)[:, :6], wanted.detach())


def test_frames_see_both_ways(lm):
    batch = utterance(7, 20, prompt=6, prompt_phones=3)
    cond, x, t = conditions(lm, batch), torch.randn(1, 26, 6), torch.tensor([0.3])
    for place in (6, 25):
        other = x.clone()
        other[:, place] += 1
        changed = [lm.velocity(noisy, t, cond, batch.frame_lens).detach() for noisy in (x, other)]
        assert ((changed[0] - changed[1]).abs().amax(dim=2) > 1e-5).all()


def test_without_guidance_nothing_is_asked_without_a_condition(lm):
    plain, limit = (speak(lm, PROMPTS[0], Sampling(steps=3, guidance=g))[0] for g in (1, 1.000001))
    assert_close(limit, plain, 1e-3)
    with patch.object(lm, "null", nn.Parameter(torch.full_like(lm.null, float("nan")))):
        assert torch.equal(speak(lm, PROMPTS[0], Sampling(steps=3, guidance=1))[0], plain)
        assert speak(lm, PROMPTS[0], Sampling(steps=3, guidance=1.5))[0].isnan().all()


def test_steps_of_euler():
    """They lead from 0 to 1, shorter at first, each with one evaluation; a constant is followed exactly."""
    asked: list[float] = []

    def velocity(x: Tensor, t: float) -> Tensor:
        asked.append(t)
        return torch.ones_like(x)

    assert torch.allclose(euler(velocity, torch.zeros(3), 5), torch.ones(3))
    steps = torch.tensor([*asked, 1.0]).diff()
    assert len(asked) == 5 and asked[0] == 0 and (steps.diff() > 0).all()
