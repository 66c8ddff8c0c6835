"""What holds for every language model that makes the frames of an utterance together."""

from __future__ import annotations

from dataclasses import fields, replace
from unittest.mock import patch

import pytest
import torch
from laws import assert_close, batch_is_rows, round_trip
from tiny import LATENT_DIM, QUICK, WHOLE_KINDS, speak, tiny_whole_lm, utterance
from torch import Tensor, nn

from latent_tts.errors import UserError
from latent_tts.frames import FrameFormat, Sampling, Utterances, stack
from latent_tts.lm.draws import RowDraws
from latent_tts.lm.pointer import PointerWalk
from latent_tts.lm.spans import (
    at_utterances,
    durations_of,
    frames_of_noise,
    frames_to_say,
    phones_to_say,
    planned,
    utterance_of,
)
from latent_tts.model_dir import load_lm

PROMPTS = {  # phones to speak, frames and phones of the reference
    "a reference with its text": utterance(6, 0, prompt=9, prompt_phones=5, seed=1),
    "a reference without text": utterance(9, 0, prompt=4, seed=2),
    "no reference": utterance(4, 0, seed=3),
    "a short reference and a long text": utterance(14, 0, prompt=1, prompt_phones=1, seed=4),
}
LESSONS = [utterance(7, 20, 6, 3), utterance(9, 9), utterance(12, 14, 5), utterance(2, 30, 1, 1)]


@pytest.fixture(params=WHOLE_KINDS)
def lm(request) -> nn.Module:
    return tiny_whole_lm(request.param)


class TestLaws:
    def test_round_trip(self, lm, tmp_path):
        prompt = stack(list(PROMPTS.values()))
        round_trip(tmp_path, "lm", lm, load_lm, lambda lm: next(lm.generate(prompt, QUICK)).frames)

    @pytest.mark.parametrize("guidance", [1.0, 2.0])
    def test_batch_is_rows(self, lm, guidance):
        sampling = Sampling(seed=5, steps=3, guidance=guidance)
        batch_is_rows(lambda rows: speak(lm, stack(rows), sampling), list(PROMPTS.values()))

    def test_what_is_behind_the_ends_is_not_learnt(self, lm):
        """The padding of frames, text and starts may hold anything."""
        batch = stack(LESSONS)
        other = Utterances(*(getattr(batch, field.name).clone() for field in fields(batch)))
        for i in range(len(batch)):
            other.frames[i, batch.frame_lens[i] :] = 1e3
            other.text[i, batch.text_lens[i] :], other.starts[i, batch.text_lens[i] :] = 99, 1
        losses = []
        for rows in (batch, other):
            torch.manual_seed(0)
            losses.append(lm.loss(rows)["loss"])
        assert losses[0].isfinite() and torch.allclose(*losses, rtol=1e-5)


class TestSampling:
    def test_all_comes_in_one_chunk(self, lm):
        """Rows of different lengths in one; a seed for each."""
        (chunk,) = lm.generate(stack(list(PROMPTS.values())), Sampling(seed=(1, 2, 3, 4), steps=2))
        lengths = chunk.alive.sum(dim=1)
        assert chunk.frames.shape == (4, int(lengths.max()), LATENT_DIM) and len(lengths.unique()) > 1
        assert chunk.alive.shape == chunk.phones.shape == chunk.frames.shape[:2]
        assert lm.frame_format == FrameFormat(LATENT_DIM)

    def test_a_seed_is_a_sound_whatever_torch_draws(self, lm):
        prompt, made = PROMPTS["a reference with its text"], []
        for seed in (1, 1, 2):
            torch.rand(1)
            made.append(speak(lm, prompt, Sampling(seed=seed, steps=3))[0])
        assert torch.equal(*made[:2]) and (made[0] - made[2]).abs().max() > 1e-2

    def test_without_temperature_there_is_one_sound(self, lm):
        made = [speak(lm, PROMPTS["no reference"], Sampling(seed=s, steps=3, temperature=0))[0] for s in (1, 2)]
        assert torch.equal(*made)

    @pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
    def test_speed_changes_the_length(self, lm, speed):
        prompt = utterance(40, 0, prompt=9, prompt_phones=5)
        plain, other = (len(speak(lm, prompt, Sampling(steps=1, speed=s))[0]) for s in (1.0, speed))
        assert other == pytest.approx(plain / speed, abs=0.5 + 0.5 / speed)

    @pytest.mark.parametrize("case", PROMPTS)
    def test_no_utterance_is_empty_or_endless(self, lm, case):
        """Whatever was learnt of lengths."""
        prompt, last = PROMPTS[case], lm.tempo if hasattr(lm, "share") else lm.duration[-1]
        most = PointerWalk.longest * int(prompt.text_lens - prompt.prompt_text_lens)
        for bias, wanted in ((-20.0, 1), (20.0, most)):
            nn.init.constant_(last.bias, bias)
            assert len(speak(lm, prompt, Sampling(steps=1))[0]) == wanted

    def test_the_voice_and_the_text_are_heard(self, lm):
        prompt = PROMPTS["a reference with its text"]
        untold = {"text": prompt.text[:, 5:], "text_lens": torch.tensor([6]), "starts": prompt.starts[:, 5:]}
        others = [
            replace(prompt, frames=prompt.frames + 1),
            replace(prompt, text=torch.cat([prompt.text[:, :-6], prompt.text[:, -6:].flip(1)], 1)),
            replace(prompt, prompt_text_lens=torch.tensor([0]), **untold),
        ]
        first = speak(lm, prompt)[0]
        for other in others:
            frames = speak(lm, other)[0]
            assert frames.shape != first.shape or (frames - first).abs().max() > 1e-3

    @pytest.mark.parametrize("guidance", [1.0, 1.5])
    def test_its_evaluations_are_counted(self, lm, guidance):
        """Passes of the Transformer, and that over the durations, as they happen."""
        sampling = Sampling(steps=4, guidance=guidance)
        counted = lm.evaluations(25, sampling)
        with patch.object(lm.transformer, "forward", wraps=lm.transformer.forward) as passes:
            speak(lm, PROMPTS["no reference"], sampling)
        durations = 0 if hasattr(lm, "share") else 1
        assert counted["network_evaluations"] == passes.call_count + durations
        assert counted["decoding_steps"] == 4 + 1 - durations and counted == lm.evaluations(1, sampling)

    def test_seeds_that_are_not_as_many(self, lm):
        with pytest.raises(UserError, match="2 seeds for 4 rows"):
            next(lm.generate(stack(list(PROMPTS.values())), Sampling(seed=(1, 2))))


def learn(lm: nn.Module, batch: Utterances, steps: int) -> list[float]:
    """Train on one batch, over and over -> the losses of its frames."""
    torch.manual_seed(0)
    optimizer, history = torch.optim.AdamW(lm.train().parameters(), lr=5e-3), []
    for _ in range(steps):
        terms = lm.loss(batch)
        optimizer.zero_grad()
        terms["loss"].backward()
        nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
        optimizer.step()
        history.append(terms["frame"].item())
    lm.eval()
    return history


class TestLearning:
    @pytest.mark.parametrize("kind", WHOLE_KINDS)
    def test_what_was_learnt_by_heart_is_spoken(self, kind):
        """Two utterances of different lengths come back from their prompts, and are as long as they were."""
        lm = tiny_whole_lm(kind, 1, dropout=0.0, condition_dropout=0.0)
        rows = [utterance(7, 20, 6, 3), utterance(5, 11, seed=1)]
        history = learn(lm, stack(rows * 4), 250)
        assert sum(history[-10:]) < 0.3 * sum(history[:10])
        prompts = [replace(row, frames=row.frames[:, : row.prompt_lens], frame_lens=row.prompt_lens) for row in rows]
        for row, made in zip(rows, speak(lm, stack(prompts), Sampling(guidance=1, temperature=0.2))):
            wanted = row.frames[0, row.prompt_lens :]
            assert abs(len(made) - len(wanted)) <= 1
            count = min(len(made), len(wanted))
            assert torch.corrcoef(torch.stack([made[:count].flatten(), wanted[:count].flatten()]))[0, 1] > 0.85

    @pytest.mark.parametrize("kind", WHOLE_KINDS)
    def test_every_weight_learns(self, kind):
        lm = tiny_whole_lm(kind, condition_dropout=0.5).train()
        torch.manual_seed(0)
        lm.loss(stack(LESSONS * 2))["loss"].backward()
        assert not [name for name, p in lm.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]

    @pytest.mark.parametrize("kind, weight", [("transfusion_lm", "length"), ("dit_lm", "duration")])
    def test_the_total_is_the_weighted_sum(self, kind, weight):
        lm = tiny_whole_lm(kind, **{f"{weight}_weight": 0.5})
        terms = {name: value.item() for name, value in lm.loss(stack(LESSONS)).items()}
        assert terms.keys() == {"loss", "frame", weight}
        assert terms["loss"] == pytest.approx(terms["frame"] + 0.5 * terms[weight], rel=1e-5)


class TestSpans:
    def test_utterances_are_taken_out_and_put_back(self):
        batch = stack(LESSONS)
        taken = utterance_of(batch.frames, batch)
        for row, lesson in zip(taken, LESSONS):
            wanted = lesson.frames[0, lesson.prompt_lens :]
            assert torch.equal(row[: len(wanted)], wanted)
        back = at_utterances(taken, batch)
        assert torch.equal(back, batch.frames * frames_to_say(batch)[..., None])

    def test_durations_are_from_start_to_start(self):
        """The first phone has the silence before it, the last one what is left; the reference's are not asked for."""
        row = replace(utterance(3, 7, prompt=4, prompt_phones=2), starts=torch.tensor([[0, 2, 5, 5, 8]]))
        assert durations_of(row)[0, 2:].tolist() == [1, 3, 3]

    def test_a_plan_has_the_durations_it_was_made_of(self):
        batch = stack(LESSONS)
        prompt = stack([replace(x, frames=x.frames[:, : x.prompt_lens], frame_lens=x.prompt_lens) for x in LESSONS])
        plan, said = planned(prompt, durations_of(batch).float(), 1.0), phones_to_say(batch)
        assert torch.equal(plan.frame_lens, batch.frame_lens) and torch.equal(plan.starts, batch.starts)
        assert plan.frames.shape == batch.frames.shape
        slow = planned(prompt, durations_of(batch).float(), 0.5)
        assert torch.equal(slow.frame_lens - slow.prompt_lens, 2 * (batch.frame_lens - batch.prompt_lens))
        assert torch.equal(durations_of(slow)[said], 2 * durations_of(batch)[said])

    def test_a_plan_in_a_hurry_has_a_frame(self):
        plan = planned(utterance(3, 0, prompt=2), torch.full((1, 3), 1e-6), 1.0)
        assert plan.frame_lens.tolist() == [3] and plan.starts.tolist() == [[2, 2, 2]]

    def test_noise_does_not_know_how_much_more_follows(self):
        short, long = (frames_of_noise(RowDraws((7, 8)), count, 64) for count in (3, 40))
        assert torch.equal(short, long[:, :3]) and (long[0] - long[1]).abs().max() > 1


def gaussian(lm: nn.Module, velocity, prompt: Utterances, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Noise (N, D) and what ``lm`` makes of it where its network is replaced by ``velocity``."""
    with patch.object(lm, "velocity", velocity):
        frames = speak(lm, prompt, sampling)[0]
    draws = RowDraws(sampling.seeds(1))
    return frames_of_noise(draws, len(frames), LATENT_DIM)[0] * sampling.temperature, frames


MEAN, SPREAD = -0.4, 0.6  # of Gaussian frames


class TestSolvers:
    """Where frames are Gaussian and the network knows it, noise is led to MEAN + SPREAD * noise."""

    @pytest.mark.parametrize("temperature", [1.0, 0.6])
    def test_transfusion(self, temperature):
        """But for the last discrete time, at which there is no noise left and a touch of the mean."""
        lm = tiny_whole_lm("transfusion_lm")

        def velocity(x: Tensor, t: Tensor, *rest: object) -> Tensor:
            alpha, sigma = lm.schedule.alpha[t], lm.schedule.sigma[t]
            clean = MEAN + SPREAD**2 * alpha / ((alpha * SPREAD) ** 2 + sigma**2) * (x - alpha * MEAN)
            return alpha * (x - alpha * clean) / sigma - sigma * clean

        sampling = Sampling(seed=3, steps=200, temperature=temperature)
        noise, frames = gaussian(lm, velocity, utterance(30, 0), sampling)
        assert_close(frames, MEAN + SPREAD * noise, 2e-2)

    @pytest.mark.parametrize("temperature", [1.0, 0.6])
    def test_dit(self, temperature):
        def velocity(x: Tensor, t: Tensor, *rest: object) -> Tensor:
            time = t[:, None, None]
            variance = (time * SPREAD) ** 2 + (1 - time) ** 2
            clean = MEAN + SPREAD**2 * time / variance * (x - time * MEAN)
            noise = (1 - time) / variance * (x - time * MEAN)
            return clean - noise

        sampling = Sampling(seed=3, steps=400, temperature=temperature)
        noise, frames = gaussian(tiny_whole_lm("dit_lm"), velocity, utterance(30, 0, 5), sampling)
        assert_close(frames, MEAN + SPREAD * noise, 2e-2)
