"""Text as a prefix: one sequence, an end that is learnt, and a limit where it was not."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from tiny import QUICK, speak, tiny_lm, utterance

from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Utterances, stack
from latent_tts.lm.prefix import PrefixLM
from latent_tts.lm.walks import StopWalk

ROWS = [utterance(7, 20, 6, 3), utterance(4, 9), utterance(12, 14, 5), utterance(2, 30, 1, 1)]


def prefix_lm(stop: float) -> PrefixLM:
    """One whose every step has this logit of the end."""
    lm = tiny_lm(kind="prefix_lm")
    with torch.no_grad():
        lm.stop.weight.zero_()
        lm.stop.bias.fill_(stop)
    return lm


def sequence(lm: PrefixLM, row: Utterances) -> torch.Tensor:
    """(L + 1 + N, H): the inputs of one row, put together from their parts."""
    text, frames = lm.text(row.text[0]), torch.cat([lm.first[None], lm.frame(row.frames[0])])
    kinds = [3 if i < row.prompt_text_lens else 2 for i in range(len(text))]
    kinds += [1 if t < row.prompt_lens else 0 for t in range(len(frames))]
    return torch.cat([text, frames]) + lm.segment.weight[kinds]


def test_a_lesson_is_text_reference_and_frames_in_one_sequence():
    lm, batch = prefix_lm(0), stack(ROWS)
    lesson = lm.lesson(batch)
    assert lesson.told == () and lesson.inputs.shape[1] == batch.text.shape[1] + batch.frames.shape[1] + 1
    for i, row in enumerate(ROWS):
        wanted, hidden = sequence(lm, row), int(lesson.padding[i])
        assert torch.allclose(lesson.inputs[i, hidden : hidden + len(wanted)], wanted, atol=1e-6)
        assert lesson.decisions[i].nonzero().tolist() == [[int(row.frame_lens)]]


def test_prompts_end_together_behind_their_reference():
    lm = prefix_lm(0)
    prompts = [replace(row, frames=row.frames[:, : row.prompt_lens], frame_lens=row.prompt_lens) for row in ROWS]
    inputs, padding, positions = lm.prompted(stack(prompts))
    for i, row in enumerate(prompts):
        wanted = sequence(lm, row)
        assert len(inputs[i]) - padding[i] == len(wanted) and torch.allclose(inputs[i, padding[i] :], wanted, atol=1e-6)
    assert positions is None and lm.prompted(prompts[0])[1].tolist() == [0]


def test_text_stands_beside_the_frames_that_say_it():
    """A phone's position is that of the step that says it if all last as long; so in a prompt, where rows move and what
    is not said yet counts the stride."""
    lm, batch = tiny_lm(kind="prefix_lm", text_stride=1.5), stack(ROWS)
    heads = stack([replace(row, frames=row.frames[:, : row.prompt_lens], frame_lens=row.prompt_lens) for row in ROWS])
    lesson, (inputs, hidden, moved) = lm.lesson(batch), lm.prompted(heads)
    for i, row in enumerate(ROWS):
        phones, known, heard = int(row.text_lens), int(row.prompt_text_lens), int(row.prompt_lens)
        for positions, padding, steps in (
            (lesson.positions[i], int(lesson.padding[i]), int(row.frame_lens) + 1),
            (moved[i], int(hidden[i]), heard + 1),
        ):
            text, frames = positions[padding:][:phones], positions[padding:][phones : phones + steps]
            assert frames.tolist() == [frames[0] + step for step in range(steps)]
            stride = 1.5 if steps == heard + 1 else (int(row.frame_lens) - heard) / (phones - known)
            wanted = [heard * k / known if k < known else heard + stride * (k - known) for k in range(phones)]
            assert (text - frames[0]).tolist() == pytest.approx(wanted, abs=1e-4)
    assert moved[:, -1].tolist() == [inputs.shape[1] - 1] * len(ROWS), "later steps count on from their places"


def test_an_end_weighs_as_much_as_a_hundred_steps():
    lm, weight = prefix_lm(-1.5), 100
    row = utterance(7, 20)
    no, yes = torch.nn.functional.logsigmoid(torch.tensor([1.5, -1.5])).tolist()
    assert lm.loss(row)["stop"].item() == pytest.approx(-(20 * no + weight * yes) / 21, rel=1e-5)


def test_when_phones_begin_is_not_asked():
    lm = tiny_lm(1, "prefix_lm")
    batch, prompt = stack(ROWS), utterance(9, 0, prompt=4, prompt_phones=3)
    lost = [replace(x, starts=torch.full_like(x.starts, 10**6)) for x in (batch, prompt)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        known = lm.loss(batch)["loss"]
        torch.manual_seed(0)
        assert torch.equal(lm.loss(lost[0])["loss"], known)
    assert torch.equal(speak(lm, lost[1])[0], speak(lm, prompt)[0])


def test_a_model_that_does_not_stop_is_stopped(caplog):
    """By the length of its text; that it happened is told, a line for each row."""
    rows = [utterance(5, 0), utterance(9, 0, prompt=4, prompt_phones=3)]
    with caplog.at_level(logging.WARNING, "latent_tts"):
        made = speak(prefix_lm(-50), stack(rows), Sampling(steps=1))
    assert [len(frames) for frames in made] == [4 * 5 + StopWalk.grace, 4 * 9 + StopWalk.grace]
    assert [record.getMessage() for record in caplog.records] == [
        f"cut off after {len(frames)} frames for {phones} phones: the model did not stop"
        for frames, phones in zip(made, (5, 9))
    ]


def test_a_model_that_stops_at_once_says_something(caplog):
    made = speak(prefix_lm(50), stack([utterance(5, 0), utterance(9, 0, prompt=4)]))
    assert [len(frames) for frames in made] == [1, 1] and not caplog.records


def test_where_it_is_in_its_text_is_not_known():
    chunks = list(tiny_lm(1, "prefix_lm").generate(stack([utterance(5, 0), utterance(9, 0)]), QUICK))
    assert (torch.cat([c.phones for c in chunks], 1) == -1).all()


def test_speed_is_refused():
    with pytest.raises(UserError, match="speed is 2.0, but .*; leave it at 1"):
        next(prefix_lm(0).generate(utterance(5, 0), Sampling(speed=2.0)))
