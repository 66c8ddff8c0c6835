"""VALL-E: how codes are drawn, the laws over both of its networks, what it has learnt to speak."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from laws import assert_close, batch_is_rows, causal, round_trip, streams
from tiny import CODEBOOKS, ENTRIES, coded, speak, tiny_valle, utterance
from torch import Tensor
from torch.nn import functional as F

from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Utterances, stack
from latent_tts.lm.draws import RowDraws
from latent_tts.lm.repetition import RepetitionAware, nucleus
from latent_tts.lm.valle import ValleLM, ValleLMConfig
from latent_tts.lm.valle_ar import last_codes
from latent_tts.model_dir import load_lm

ROWS = [coded(utterance(7, 20, 6, 3), 1), coded(utterance(4, 9), 2), coded(utterance(12, 14, 5), 3)]
ROWS += [coded(utterance(2, 30, 1, 1), 4)]
PROMPTS = [coded(utterance(6, 0, 9, 5), 1), coded(utterance(9, 0, 4), 2), coded(utterance(4, 0), 3)]
LIKELIEST = Sampling(top_p=0.0)
BY_GROUP = pytest.mark.parametrize("group", [1, 2, 3])


def prompt_of(row: Utterances) -> Utterances:
    return replace(row, frames=row.frames[:, : int(row.prompt_lens)], frame_lens=row.prompt_lens)


class Said:
    """Random numbers that are known."""

    def __init__(self, *numbers: float):
        self.numbers = iter(numbers)

    def uniform(self) -> np.ndarray:
        return np.array([[next(self.numbers)]])


class TestNucleus:
    """Of 0.15, 0.5, 0.05 and 0.3; in order of likelihood they reach 0.5, 0.8, 0.95 and 1."""

    P = torch.tensor([[0.15, 0.5, 0.05, 0.3]])

    @pytest.mark.parametrize(
        ("top_p", "uniform", "entry"),
        [
            *((0.0, 0.99, 1), (0.5, 0.99, 1), (0.51, 0.62, 1), (0.51, 0.63, 3)),  # 0.5 / 0.8 is 0.625
            *((0.8, 0.99, 3), (0.81, 0.84, 3), (0.81, 0.85, 0)),  # 0.8 / 0.95 is 0.842
            *((1.0, 0.49, 1), (1.0, 0.51, 3), (1.0, 0.81, 0), (1.0, 0.96, 2)),
        ],
    )
    def test_worked_by_hand(self, top_p, uniform, entry):
        assert nucleus(self.P, top_p, torch.tensor([[uniform]])).tolist() == [entry]

    def test_what_cannot_be_is_not_drawn(self):
        p = torch.tensor([[0.0, 1.0, 0.0]]).expand(2, 3)
        assert nucleus(p, 1.0, torch.tensor([[0.0], [1 - 2**-24]])).tolist() == [1, 1]

    def test_shares_are_the_distribution(self):
        uniform = (torch.arange(1000)[:, None] + 0.5) / 1000
        shares = torch.bincount(nucleus(self.P.expand(1000, 4), 1.0, uniform)) / 1000
        assert torch.allclose(shares, self.P[0], atol=2e-3)


class TestRepetition:
    """Codes 0, 1 and 2 of 0.6, 0.3 and 0.1: the nucleus of 0.5 is code 0; all are drawn below 0.6, 0.9 and 1."""

    LOGITS = torch.tensor([[0.6, 0.3, 0.1]]).log()

    @pytest.mark.parametrize(
        ("zeros", "again", "code"),
        [(0, 0.95, 0), (1, 0.95, 0), (2, 0.95, 2), (2, 0.7, 1), (2, 0.5, 0), (10, 0.95, 2)],
    )
    def test_worked_by_hand(self, zeros, again, code):
        """One in ten is a tenth, which is not more than a tenth."""
        history = torch.tensor([[0] * zeros + [1] * (10 - zeros)])
        draw = RepetitionAware(history, 0.1, Said(0.3, again), top_p=0.5, temperature=1.0)
        assert draw(self.LOGITS).tolist() == [code]
        assert draw.history[0].tolist() == [*history[0, 1:].tolist(), code]

    def test_only_the_last_ten_count(self):
        draw = RepetitionAware(torch.full((1, 10), -1), 0.1, Said(*[0.1, 0.95] * 13), top_p=0.5, temperature=1.0)
        said = [int(draw(self.LOGITS)) for _ in range(13)]
        assert said == [0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0]

    def test_a_threshold_of_one_is_the_nucleus_alone(self):
        draw = RepetitionAware(torch.zeros(1, 10, dtype=torch.int64), 1.0, Said(0.1, 0.95), 0.5, 1.0)
        assert draw(self.LOGITS).tolist() == [0]

    def test_temperature(self):
        """Squared and divided by their sum, 0.6, 0.3 and 0.1 are 0.783, 0.196 and 0.022."""
        for uniform, code in ((0.78, 0), (0.79, 1), (0.97, 1), (0.98, 2)):
            draw = RepetitionAware(torch.full((1, 10), -1), 0.1, Said(uniform, 0), top_p=1.0, temperature=0.5)
            assert draw(self.LOGITS).tolist() == [code]

    def test_rows_draw_for_themselves(self):
        logits = torch.randn(3, 8)
        seeds, history = (5, 6, 7), torch.full((3, 10), -1)
        together = RepetitionAware(history, 0.1, RowDraws(seeds), 0.8, 1.0)
        alone = [RepetitionAware(history[:1], 0.1, RowDraws((s,)), 0.8, 1.0) for s in seeds]
        for _ in range(12):
            assert together(logits).tolist() == [int(draw(logits[i : i + 1])) for i, draw in enumerate(alone)]

    def test_the_reference_is_history(self):
        codes = [coded(utterance(2, 0, count), 1) for count in (12, 3)]
        first = [row.frames[0, :, 0].tolist() for row in codes]
        assert last_codes(stack(codes), 10).tolist() == [first[0][2:], [-1] * 7 + first[1]]


class TestPlain:
    """With groups of one it is an autoregressive model like any other, written here without cache and padding."""

    @staticmethod
    def logits(lm: ValleLM, row: Utterances, codes: Tensor) -> Tensor:
        """(n + 1, entries + 1) of one row whose first codes (n,) are known."""
        ar, heard, told = lm.ar, int(row.prompt_lens), int(row.prompt_text_lens)
        text = ar.text(row.text[0]) + ar.segment(torch.tensor([3] * told + [2] * (row.text.shape[1] - told)))
        steps = torch.cat([ar.first[None], 32**0.5 * ar.code(codes)])
        steps = steps + ar.segment((torch.arange(len(steps)) < heard).long())
        states = ar.transformer(torch.cat([text, steps])[None])[0, len(text) :]
        return states @ ar.code.weight.T

    @pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
    def test_its_loss(self, row):
        lm, codes = tiny_valle(1), row.frames[0, :, 0]
        begin = 0 if row.prompt_text_lens else int(row.prompt_lens)
        targets = torch.cat([codes, torch.tensor([ENTRIES])])[begin:]
        wanted = F.cross_entropy(self.logits(lm, row, codes)[begin:], targets)
        assert lm.ar.loss(row).item() == pytest.approx(wanted.item(), rel=1e-4)

    @pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
    def test_its_speech(self, prompt):
        lm, codes = tiny_valle(1, most_repeated=1.0, most_frames=2.0), prompt.frames[0, :, 0]
        made: list[int] = []
        while len(made) < 12:
            logits = self.logits(lm, prompt, torch.cat([codes, torch.tensor(made, dtype=torch.int64)]))[-1]
            best = int(logits[: ENTRIES + bool(made)].argmax())
            if best == ENTRIES:
                break
            made.append(best)
        spoken = speak(lm, prompt, LIKELIEST)[0][:, 0].tolist()
        assert spoken[:12] == made and (len(made) == 12 or len(spoken) == len(made))


@pytest.mark.parametrize(("group", "stride"), [(1, None), (1, 3.7), (2, None), (3, 3.7)])
class TestLaws:
    def test_causal(self, group, stride):
        """A group of codes changes only what is scored after it."""
        lm, row = tiny_valle(1, group=group, text_stride=stride), coded(utterance(7, 0))

        def logits(signal: Tensor) -> Tensor:
            codes = (signal.abs() * 97).long() % ENTRIES
            return lm.ar(row, codes[..., 0].unflatten(1, (-1, group))).flatten(2)

        causal(logits, torch.rand(1, 6 * group, 1), 3 * group)

    @pytest.mark.parametrize("size", [1, 2, 7])
    def test_streams(self, group, stride, size):
        streams(tiny_valle(1, group=group, text_stride=stride).ar.transformer, torch.randn(2, 15, 32), size)

    @pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
    def test_generation_is_a_stream_of_what_was_learnt(self, group, stride, prompt, monkeypatch):
        """The codes that were made, fed back all at once, are scored as when they were drawn."""
        lm, seen = tiny_valle(1, group=group, text_stride=stride, most_frames=2.0), []
        lm.ar.code.weight.data[ENTRIES] = 0  # the end is seldom the likeliest
        call = RepetitionAware.__call__

        def record(self, logits: Tensor) -> Tensor:
            seen.append(logits.clone())
            return call(self, logits)

        with patch.object(RepetitionAware, "__call__", record):
            (frames,) = speak(lm, prompt, Sampling(seed=1))
        if stride:  # as if the utterance had kept to the pace at which it was spoken
            monkeypatch.setattr("latent_tts.lm.valle_ar.own_stride", lambda batch: torch.tensor([stride]))
        row = replace(
            prompt, frames=torch.cat([prompt.frames, frames[None]], 1), frame_lens=prompt.frame_lens + len(frames)
        )
        groups, _ = lm.ar.lesson(row)
        heard = int(prompt.prompt_lens) // group * group
        learnt = lm.ar(row, groups[:, :-1]).flatten(1, 2)[0, heard:]
        drawn = torch.cat(seen)[: len(frames)].clone()
        drawn[0, ENTRIES] = learnt[0, ENTRIES]  # the end, which cannot come at once
        assert len(frames) > 2
        assert_close(drawn, learnt[: len(frames)])

    def test_round_trip(self, group, stride, tmp_path):
        batch, lm = stack(ROWS), tiny_valle(1, group=group, text_stride=stride)
        round_trip(tmp_path, "lm", lm, load_lm, lambda lm: lm.ar(batch, lm.ar.lesson(batch)[0]))
        round_trip(tmp_path, "lm", lm, load_lm, lambda lm: lm.nar.scores(lm.nar.states(batch, 2), 2))

    def test_batch_is_rows(self, group, stride):
        lm = tiny_valle(2, group=group, text_stride=stride, most_frames=3.0)
        batch_is_rows(lambda rows: [x.float() for x in speak(lm, stack(rows), Sampling(seed=5))], PROMPTS)

    def test_a_learning_batch_is_rows(self, group, stride):
        lm = tiny_valle(1, group=group, text_stride=stride)

        def scores(rows: list[Utterances]) -> list[Tensor]:
            batch = stack(rows)
            groups, known = lm.ar.lesson(batch)
            first, later = lm.ar(batch, groups[:, :-1]), lm.nar.scores(lm.nar.states(batch, 1), 1)
            return [
                torch.cat([first[i][known[i]].flatten(), later[i, : int(row.frame_lens)].flatten()])
                for i, row in enumerate(rows)
            ]

        batch_is_rows(scores, ROWS)

    def test_what_is_learnt(self, group, stride):
        """Every code that can be read and the end; with groups the first frames of a reference may be left out."""
        groups, known = tiny_valle(group=group, text_stride=stride).ar.lesson(stack(ROWS))
        for row, codes, learnt in zip(ROWS, groups, known):
            begin = int(row.prompt_lens) % group if row.prompt_text_lens else int(row.prompt_lens)
            assert codes[learnt].tolist() == [*row.frames[0, begin:, 0].tolist(), ENTRIES]


class TestLaterCodes:
    @staticmethod
    def scores(row: Utterances, codebook: int) -> Tensor:
        nar = tiny_valle(1).nar
        return nar.scores(nar.states(row, codebook), codebook)

    @pytest.mark.parametrize("codebook", [1, 2])
    def test_codes_before_are_seen_and_codes_from_there_on_are_not(self, codebook):
        """Of the utterance; of the reference all are seen. Everything sees everything: the last frame changes the first
        one's scores."""
        row = ROWS[0]
        scores = self.scores(row, codebook)
        for place, number in ((-1, 0), (-1, 1), (-1, 2), (0, 0), (0, 2)):
            other = row.frames.clone()
            other[:, place, number] = (other[:, place, number] + 1) % ENTRIES
            seen = place == 0 or number < codebook
            changed = (self.scores(replace(row, frames=other), codebook)[:, 10] - scores[:, 10]).abs().max() > 1e-4
            assert changed == seen, (place, number)

    def test_the_text_and_the_codebook_asked_for_matter(self):
        row, nar = ROWS[0], tiny_valle(1).nar
        states = nar.states(row, 1)
        assert not torch.allclose(nar.states(replace(row, text=row.text.flip(1)), 1), states, atol=1e-3)
        hidden = replace(row, frames=row.frames * (torch.arange(CODEBOOKS) < 1), prompt_lens=torch.tensor([0]))
        assert not torch.allclose(nar.states(hidden, 2), nar.states(hidden, 1), atol=1e-3)

    def test_the_likeliest_code_is_taken(self):
        lm = tiny_valle(1, most_frames=2.0)
        (frames,) = speak(lm, PROMPTS[0])
        prompt, known = PROMPTS[0], torch.cat([PROMPTS[0].frames, frames[None]], 1)
        row = replace(prompt, frames=known, frame_lens=torch.tensor([known.shape[1]]))
        for codebook in range(1, CODEBOOKS):
            scores = lm.nar.scores(lm.nar.states(row, codebook), codebook)[0, -len(frames) :]
            assert torch.equal(scores.argmax(-1), frames[:, codebook])


class TestLearning:
    @BY_GROUP
    def test_what_was_learnt_by_heart_is_spoken(self, group):
        """Two utterances, one of them behind a reference: all of their codes, and they end where they ended."""
        lm, rows = tiny_valle(1, group=group, dropout=0.0).train(), ROWS[:2]
        optimizer = torch.optim.AdamW(lm.parameters(), lr=5e-3)
        torch.manual_seed(0)
        for _ in range(100):
            optimizer.zero_grad()
            lm.loss(stack(rows))["loss"].backward()
            optimizer.step()
        for row, made in zip(rows, speak(lm.eval(), stack([prompt_of(row) for row in rows]))):
            assert torch.equal(made, row.frames[0, int(row.prompt_lens) :])

    @BY_GROUP
    def test_every_weight_learns(self, group):
        """And all of them have a gradient whichever codebook was drawn: processes that drew others must agree."""
        lm = tiny_valle(group=group).train()
        lm.loss(stack(ROWS))["loss"].backward()
        assert not [name for name, p in lm.named_parameters() if p.grad is None]
        for codebook in range(1, CODEBOOKS):
            lm.nar.loss(stack(ROWS), codebook).backward()
        assert not [name for name, p in lm.named_parameters() if not p.grad.abs().sum() > 0]

    def test_the_total_is_the_sum(self):
        terms = {name: value.item() for name, value in tiny_valle().loss(stack(ROWS)).items()}
        assert terms.keys() == {"loss", "ar", "nar"} and terms["loss"] == pytest.approx(terms["ar"] + terms["nar"])


class TestTheEnd:
    @BY_GROUP
    def test_a_model_that_does_not_stop_is_stopped(self, group, caplog):
        """By the length of its text, as frames are four times as many; that it happened is told once a row."""
        lm, prompts = tiny_valle(group=group, most_frames=3.0, grace=2.0), [PROMPTS[0], PROMPTS[2]]
        call = RepetitionAware.__call__
        with (
            patch.object(RepetitionAware, "__call__", lambda self, logits: call(self, logits[:, :ENTRIES])),
            caplog.at_level(logging.WARNING, "latent_tts"),
        ):
            made = speak(lm, stack(prompts))
        assert [len(frames) for frames in made] == [3 * (6 + 2), 3 * (4 + 2)]
        assert sorted(record.getMessage() for record in caplog.records) == [
            f"cut off after {frames} frames for {phones} phones: the model did not stop"
            for frames, phones in ((18, 4), (24, 6))
        ]

    @BY_GROUP
    def test_a_model_that_would_stop_at_once_says_something(self, group):
        lm = tiny_valle(group=group)
        call = RepetitionAware.__call__

        def end(self, logits: Tensor) -> Tensor:
            return call(self, logits + 1e4 * F.one_hot(torch.tensor(ENTRIES), ENTRIES + 1))

        with patch.object(RepetitionAware, "__call__", end):
            assert [frames.shape for frames in speak(lm, stack(PROMPTS))] == [(1, CODEBOOKS)] * 3


@pytest.mark.parametrize("phones, heard", [(1, 0), (3, 1), (1, 13)])
@BY_GROUP
def test_prompts_of_many_sizes(group, phones, heard):
    (frames,) = speak(tiny_valle(group=group), coded(utterance(phones, 0, heard)))
    assert frames.dtype == torch.int64 and frames.shape[1] == CODEBOOKS and 0 <= frames.min() <= frames.max() < ENTRIES


def test_a_seed_is_a_sound():
    lm = tiny_valle(2, most_frames=3.0)
    one, again, other = (speak(lm, PROMPTS[0], Sampling(seed=seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, again) and not (one.shape == other.shape and torch.equal(one, other))


def test_where_it_is_in_its_text_is_not_known():
    (chunk,) = tiny_valle(most_frames=3.0).generate(stack(PROMPTS), Sampling())
    assert chunk.phones.shape == chunk.alive.shape and (chunk.phones == -1).all()
    assert not chunk.frames[~chunk.alive].any()


@BY_GROUP
def test_evaluations_are_counted(group):
    """As many as there are when frames are made."""
    lm, passes = tiny_valle(group=group), {"ar": 0, "nar": 0}

    def count(name: str) -> Callable:
        def hook(*_: object) -> None:
            passes[name] += 1

        return hook

    for name in passes:
        getattr(lm, name).transformer.register_forward_hook(count(name))
    (frames,) = speak(lm, PROMPTS[0], Sampling(seed=1))
    wanted = lm.evaluations(len(frames), Sampling())
    assert wanted == {"decoding_steps": passes["ar"], "network_evaluations": sum(passes.values())}


class TestRefused:
    def test_another_speed(self):
        with pytest.raises(UserError, match="speed is 2.0, but .*; leave it at 1"):
            next(tiny_valle().generate(PROMPTS[0], Sampling(speed=2.0)))

    @pytest.mark.parametrize("sizes", [{"codebooks": 1}, {"group": 0}, {"window": 0}])
    def test_sizes_that_cannot_be(self, sizes):
        with pytest.raises(UserError, match="lm: .*; want at least two codebooks"):
            ValleLMConfig(**sizes)

    @pytest.mark.parametrize("sampling", [{"top_p": 1.1}, {"top_p": -0.1}, {"code_temperature": 3}])
    def test_sampling_out_of_range(self, sampling):
        with pytest.raises(UserError, match=f"{next(iter(sampling))} is .*; choose a value from 0"):
            Sampling(**sampling)
