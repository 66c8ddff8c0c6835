"""Every language model obeys the four laws and speaks what it has learnt to; a pointer always comes to an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from laws import assert_close, batch_is_rows, causal, round_trip, streams
from tiny import LATENT_DIM, LM_KINDS, QUICK, awaken, speak, tiny_lm, utterance
from torch import Tensor

from latent_tts.frames import Sampling, Utterances, stack
from latent_tts.lm.heads import HEADS
from latent_tts.lm.latent_lm import LatentLM
from latent_tts.lm.pointer import PointerWalk
from latent_tts.model_dir import load_lm

PROMPTS = {  # phones to speak, frames and phones of the reference
    "a reference with its text": utterance(6, 0, prompt=9, prompt_phones=5, seed=1),
    "a reference without text": utterance(9, 0, prompt=4, seed=2),
    "no reference": utterance(4, 0, seed=3),
    "a short reference and a long text": utterance(14, 0, prompt=1, prompt_phones=1, seed=4),
}
VARIANTS = {  # of how a frame is drawn
    "ddpm": {},
    "flow": {"head": "flow"},
    "energy": {"head": "energy"},
    "guidance of conditions": {"guidance": "condition"},
    "the frame before": {"previous_frame": True},
    "text beside frames": {"text_stride": 1.3},
}
KINDS_AND_VARIANTS = [  # all where text is read by a pointer; how it is read changes only what the head is told
    *(("latent_lm", variant) for variant in VARIANTS if variant != "text beside frames"),
    *(("prefix_lm", variant) for variant in ("ddpm", "the frame before", "text beside frames")),
]
ANY_KIND = pytest.mark.parametrize("kind", LM_KINDS)


@pytest.fixture(scope="module", params=LM_KINDS)
def lm(request) -> LatentLM:
    return tiny_lm(1, request.param, condition_dropout=0.0)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """``threads(2)`` lets torch use two, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def learnt_conditions(lm: LatentLM, batch: Utterances) -> Tensor:
    """(M, H): what the head is given when the frames are known, one row after another."""
    seen = []

    def record(frames: Tensor, cond: Tensor) -> Tensor:
        seen.append(cond)
        return cond.sum(dim=1)

    with patch.object(lm.head, "loss", record), torch.inference_mode():
        lm.loss(batch)
    return seen[0]


def made(lm: LatentLM, prompt: Utterances, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The frames (n, D) that are made of a prompt, and the phones (n,) that have begun by the end of each."""
    frames, begun = zip(*((chunk.frames, chunk.phones) for chunk in lm.generate(prompt, sampling)))
    return torch.cat(frames, 1)[0], torch.cat(begun, 1)[0]


def continued(prompt: Utterances, frames: Tensor, begun: Tensor) -> Utterances:
    """A prompt with the frames (n, D) that were made of it, ``begun`` (n,) phones by the end of each, as a row to
    learn from."""
    heard, count = int(prompt.prompt_text_lens), int(prompt.prompt_lens)
    phones = int(prompt.text_lens) - heard
    starts = [count + int((begun <= k).sum()) for k in range(phones)]
    return replace(
        prompt,
        frames=torch.cat([prompt.frames, frames[None]], 1),
        frame_lens=prompt.frame_lens + len(frames),
        starts=torch.cat([prompt.starts[:, :heard], torch.tensor([starts])], 1),
    )


class TestLaws:
    @pytest.fixture(params=KINDS_AND_VARIANTS, ids=" ".join)
    def lm(self, request, monkeypatch) -> LatentLM:
        kind, variant = request.param
        stride = VARIANTS[variant].get("text_stride")
        if stride:  # the pace at which an utterance is spoken, and not its own, as if it had kept to it
            monkeypatch.setattr("latent_tts.lm.prefix.own_stride", lambda batch: torch.full((len(batch), 1), stride))
        return tiny_lm(1, kind, condition_dropout=0.0, **VARIANTS[variant])

    def test_causal(self, lm):
        """A frame changes only what is drawn after it; the reference is known from the start."""
        row = utterance(7, 20, prompt=6, prompt_phones=3)

        def conditions(frames: Tensor) -> Tensor:
            whole = torch.cat([row.frames[:, :6], frames], 1)
            return learnt_conditions(lm, replace(row, frames=whole, frame_lens=torch.tensor([whole.shape[1]])))[None]

        causal(lambda frames: conditions(frames)[:, : 6 + frames.shape[1]], row.frames[:, 6:], 12)

    @pytest.mark.parametrize("size", [1, 2, 7])
    def test_streams(self, lm, size):
        streams(lm.transformer, torch.randn(2, 15, 32), size)

    @pytest.mark.parametrize("case", PROMPTS)
    def test_generation_is_a_stream_of_what_was_learnt(self, lm, case):
        """Teacher forcing: the frames that were made, fed back all at once, give the conditions they were made from."""
        prompt, seen = PROMPTS[case], []
        sample = lm.head.sample

        def record(cond: Tensor, *rest) -> Tensor:
            seen.append(cond)
            return sample(cond, *rest)

        with patch.object(lm.head, "sample", record):
            frames, begun = made(lm, prompt, QUICK)
        learnt = learnt_conditions(lm, continued(prompt, frames, begun))
        assert len(frames) > 2 and len(learnt) == len(frames) + (int(prompt.prompt_text_lens) > 0) * int(
            prompt.prompt_lens
        )
        assert_close(torch.cat(seen), learnt[-len(frames) :])

    def test_round_trip(self, lm, tmp_path):
        batch = stack([utterance(7, 20, prompt=6, prompt_phones=3), utterance(4, 9)])
        round_trip(tmp_path, "lm", lm, load_lm, lambda lm: learnt_conditions(lm, batch))
        round_trip(tmp_path, "lm", lm, load_lm, lambda lm: next(lm.generate(PROMPTS["no reference"], QUICK))[0])

    @pytest.mark.parametrize("guidance", [1.0, 2.0])
    def test_batch_is_rows(self, lm, guidance):
        sampling = Sampling(seed=5, steps=3, guidance=guidance)
        batch_is_rows(lambda rows: speak(lm, stack(rows), sampling), list(PROMPTS.values()))

    def test_a_learning_batch_is_rows(self, lm):
        rows = [utterance(7, 20, 6, 3), utterance(4, 9), utterance(12, 14, 5), utterance(2, 30, 1, 1)]

        def conditions(rows: list[Utterances]) -> list[Tensor]:
            lens = [int(row.frame_lens - row.prompt_lens * (row.prompt_text_lens == 0)) for row in rows]
            return list(learnt_conditions(lm, stack(rows)).split(lens))

        batch_is_rows(conditions, rows)


class TestSampling:
    @pytest.mark.parametrize("case", PROMPTS)
    def test_a_seed_is_a_sound(self, lm, case):
        first, again, other = (speak(lm, PROMPTS[case], Sampling(seed=s, steps=3))[0] for s in (1, 1, 2))
        assert torch.equal(first, again)
        assert first.shape != other.shape or not torch.allclose(first, other, atol=1e-2)

    def test_the_global_generator_has_no_part(self, lm):
        outputs = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            outputs.append(speak(lm, PROMPTS["no reference"])[0])
        assert torch.equal(*outputs)

    def test_neither_company_nor_threads_matter(self, lm, threads):
        """A row alone on one thread is the row in a batch on two."""
        prompts = [PROMPTS["a reference with its text"], PROMPTS["no reference"]]
        threads(1)
        alone = [speak(lm, prompt, Sampling(steps=1))[0] for prompt in prompts]
        threads(2)
        for one, other in zip(alone, speak(lm, stack(prompts), Sampling(steps=1))):
            assert_close(other, one)

    def test_without_guidance_nothing_is_asked_without_text(self, lm):
        """guidance=1 is half the work: the null condition may be anything. It is also the limit of guidance."""
        prompt = PROMPTS["no reference"]
        plain, limit = (speak(lm, prompt, Sampling(steps=3, guidance=g))[0] for g in (1, 1.000001))
        assert_close(limit, plain, 1e-3)
        with patch.object(lm, "null", torch.nn.Parameter(torch.full_like(lm.null, float("nan")))):
            assert torch.equal(speak(lm, prompt, Sampling(steps=3, guidance=1))[0], plain)
            assert next(lm.generate(prompt, Sampling(steps=3, guidance=1.5))).frames.isnan().all()

    def test_guidance_leads_away_from_the_null(self, lm):
        prompt = PROMPTS["no reference"]
        none, some, much = (next(lm.generate(prompt, Sampling(guidance=g))).frames for g in (1, 2, 4))
        assert (none - some).norm() > 1e-3 and (much - none).norm() > 1.5 * (some - none).norm()

    def test_the_voice_and_the_text_are_heard(self, lm):
        prompt = PROMPTS["a reference with its text"]
        others = [
            replace(prompt, frames=prompt.frames + 1),
            replace(prompt, text=torch.cat([prompt.text[:, :-6], prompt.text[:, -6:].flip(1)], 1)),
            replace(prompt, prompt_text_lens=torch.tensor([0]), text=prompt.text[:, 5:], text_lens=torch.tensor([6])),
        ]
        first = next(lm.generate(prompt, QUICK)).frames
        for other in others:
            assert (next(lm.generate(other, QUICK)).frames - first).abs().max() > 1e-3

    def test_temperature_scales_the_noise(self, lm):
        prompt = PROMPTS["no reference"]
        cold, warm = (
            [next(lm.generate(prompt, Sampling(seed=s, temperature=t, duration_temperature=0))).frames for s in (0, 1)]
            for t in (0, 1)
        )
        assert torch.equal(*cold) and (warm[0] - warm[1]).abs().max() > 0.1


def biased(favour: int) -> LatentLM:
    """A model that would always make the same move, or the next nearest to it."""
    lm = tiny_lm()
    with torch.no_grad():
        lm.advance.weight.zero_()
        lm.advance.bias.copy_(-50.0 * (torch.arange(4) - favour).abs())
    return lm


class TestTheEnd:
    @pytest.mark.parametrize("case", PROMPTS)
    @pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
    def test_the_pointer_only_goes_on(self, case, speed):
        """By no more than the largest move at a time, to the last phone, and within the limit."""
        lm, prompt = tiny_lm(), PROMPTS[case]
        chunks = list(lm.generate(prompt, Sampling(steps=1, speed=speed)))
        phones = torch.cat([c.phones for c in chunks], 1)[0]
        count = int(prompt.text_lens - prompt.prompt_text_lens)
        moves = torch.diff(phones, prepend=torch.zeros(1, dtype=torch.int64))
        assert (moves >= 0).all() and moves.max() <= lm.config.max_advance
        assert phones[-1] == count and len(chunks) <= (count + 1) * PointerWalk.longest

    @pytest.mark.parametrize("temperature", [0.0, 0.7, 2.0])
    @pytest.mark.parametrize("speed", [0.5, 1.0])
    def test_a_model_that_never_moves_is_moved(self, temperature, speed):
        prompt = stack([PROMPTS["no reference"], PROMPTS["a reference with its text"]])
        sampling = Sampling(steps=1, guidance=1, duration_temperature=temperature, speed=speed)
        rows = speak(biased(0), prompt, sampling)
        assert [len(row) for row in rows] == [(4 + 1) * PointerWalk.longest, (6 + 1) * PointerWalk.longest]

    @pytest.mark.parametrize("phones", [1, 2, 3, 8])
    def test_a_model_in_a_hurry_says_something(self, phones):
        """No row ends before it has had a frame: the end comes in a frame after the last phone's, as in training."""
        lm, short = biased(3), utterance(phones, 0)
        assert len(speak(lm, short)[0]) == -(-phones // 3)
        rows = speak(lm, stack([short, PROMPTS["a short reference and a long text"]]))
        assert [len(row) for row in rows] == [-(-phones // 3), 5]

    def test_speed_is_the_mean_of_the_moves(self):
        """Over many seeds, a sentence at 2 takes about half the frames of one at 1, and at 0.5 about twice as many."""
        lm, prompt = tiny_lm(), utterance(25, 0)
        lengths = {
            speed: sum(
                len(speak(lm, prompt, Sampling(seed, 1, 1, duration_temperature=1, speed=speed))[0])
                for seed in range(8)
            )
            for speed in (0.5, 1, 2)
        }
        assert 0.4 < lengths[2] / lengths[1] < 0.65 and 1.5 < lengths[0.5] / lengths[1] < 2.5, lengths


def learn(lm: LatentLM, batch: Utterances, steps: int) -> list[dict[str, float]]:
    """Train on one batch, over and over -> the losses of each step."""
    optimizer = torch.optim.AdamW(lm.train().parameters(), lr=5e-3)
    history: list[dict[str, float]] = []
    for _ in range(steps):
        terms = lm.loss(batch)
        optimizer.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
        optimizer.step()
        history.append({name: value.item() for name, value in terms.items()})
    lm.eval()
    return history


class TestLearning:
    @pytest.mark.parametrize(("kind", "head"), [(kind, head) for kind in LM_KINDS for head in HEADS])
    def test_overfitting_one_batch_lowers_the_loss(self, kind, head):
        lm = tiny_lm(kind=kind, dropout=0.0, head=head)
        batch = stack([utterance(7, 20, 6, 3), utterance(4, 9, seed=1), utterance(12, 14, 5, seed=2)])
        history = learn(lm, batch, 60)
        for name in ("loss", "frame", lm.decision):
            before, after = (sum(h[name] for h in part) / 5 for part in (history[:5], history[-5:]))
            assert after < 0.75 * before, (name, before, after)

    @ANY_KIND
    def test_what_was_learnt_by_heart_is_spoken(self, kind):
        """Two utterances of different lengths, generated from their prompts, come back, and end where they ended."""
        lm = tiny_lm(1, kind, dropout=0.0, condition_dropout=0.0)
        rows = [utterance(7, 20, 6, 3), utterance(5, 11, seed=1)]
        learn(lm, stack(rows), 200)
        prompts = [replace(row, frames=row.frames[:, : row.prompt_lens], frame_lens=row.prompt_lens) for row in rows]
        spoken = speak(lm, stack(prompts), Sampling(guidance=1, temperature=0.2, duration_temperature=0))
        for row, made in zip(rows, spoken):
            wanted = row.frames[0, row.prompt_lens :]
            assert abs(len(made) - len(wanted)) <= 2
            count = min(len(made), len(wanted))
            likeness = torch.corrcoef(torch.stack([made[:count].flatten(), wanted[:count].flatten()]))[0, 1]
            assert likeness > 0.85

    @pytest.mark.parametrize(("kind", "variant"), KINDS_AND_VARIANTS)
    def test_every_weight_learns(self, kind, variant):
        lm = awaken(tiny_lm(kind=kind, condition_dropout=0.3, **VARIANTS[variant])).train()
        torch.manual_seed(0)
        rows = [utterance(7, 20, 6, 3), utterance(9, 9), utterance(12, 14, 5), utterance(2, 30, 1, 1)]
        lm.loss(stack(rows))["loss"].backward()
        assert not [name for name, p in lm.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]

    @pytest.mark.parametrize("dropout", [0.0, 1.0])
    @ANY_KIND
    def test_the_total_is_the_weighted_sum(self, kind, dropout):
        weight = {"latent_lm": "advance_weight", "prefix_lm": "stop_weight"}[kind]
        lm = tiny_lm(kind=kind, condition_dropout=dropout, **{weight: 0.5})
        terms = {name: value.item() for name, value in lm.loss(utterance(7, 20)).items()}
        assert terms["loss"] == pytest.approx(terms["frame"] + 0.5 * terms[lm.decision], rel=1e-5)
        assert terms.keys() == {"loss", "frame", lm.decision}

    @ANY_KIND
    def test_a_dropped_condition_is_the_null(self, kind):
        lm = tiny_lm(kind=kind, condition_dropout=1.0)
        cond = learnt_conditions(lm, utterance(7, 20))
        assert cond.shape == (20, 32) and torch.equal(cond, lm.null.expand_as(cond))

    def test_what_is_behind_the_ends_is_not_learnt(self, lm):
        """The padding of frames, text and starts may hold anything."""
        row, longer = utterance(7, 20, 6, 3), stack([utterance(7, 20, 6, 3), utterance(20, 40)])
        first = Utterances(*(getattr(longer, field.name)[:1] for field in fields(longer)))
        first.frames[:, 26:], first.text[:, 10:], first.starts[:, 10:] = 1e3, 99, 1
        assert_close(learnt_conditions(lm, first), learnt_conditions(lm, row))

    def test_a_reference_without_text_is_not_learnt(self, lm):
        """Its frames are context only; what cannot be read is not asked for."""
        assert len(learnt_conditions(lm, utterance(7, 20, prompt=6))) == 20
        assert len(learnt_conditions(lm, utterance(7, 20, prompt=6, prompt_phones=2))) == 26


@pytest.mark.parametrize("phones, frames, heard", [(1, 0, 0), (1, 1, 1), (3, 2, 0), (2, 12, 12), (2, 3, 12)])
def test_prompts_of_many_sizes(lm, phones, frames, heard):
    """Whatever the sizes, a prompt can be continued; frames have the codec's width."""
    assert speak(lm, utterance(phones, 0, frames, heard))[0].shape[1] == LATENT_DIM


def test_every_generator_is_a_row_of_its_own():
    """Rows with different texts draw equal noise, since their seeds are equal."""
    walk = PointerWalk(stack([PROMPTS["no reference"], PROMPTS["a reference without text"]]), 3, Sampling(seed=3))
    noise = walk.draws.normal(8)
    assert (noise[0] == noise[1]).all() and (walk.draws.normal(8) != noise).any()


def test_steps_of_a_walk_can_be_followed():
    """A walk by hand: forced along, and stopped behind the last phone."""
    walk = PointerWalk(utterance(2, 0), 3, Sampling(duration_temperature=0))
    go: Callable[[int], np.ndarray] = lambda move: np.eye(4)[[move]] * 9.0  # noqa: E731
    made = [(*walk.step(go(move)).tolist(), *walk.spoken.tolist(), *walk.alive.tolist()) for move in (0, 1, 0, 1, 0, 1)]
    assert made == [(0, 0, True), (1, 1, True), (0, 1, True), (1, 2, True), (0, 2, True), (1, 3, False)]
    walk.step(go(3))
    assert walk.spoken.tolist() == [3] and not walk.alive.any()


@ANY_KIND
def test_what_is_heard_is_blurred_in_training_alone(kind):
    """``history_noise`` reaches the conditions and never the frames to be drawn, and is gone when speaking."""
    noisy, plain = (tiny_lm(2, kind, history_noise=most, dropout=0.0) for most in (0.5, 0.0))
    batch = utterance(5, 12, prompt=4, prompt_phones=2, seed=3)
    for lm in (noisy, plain):
        lm.train()
    torch.manual_seed(0)
    frames, cond, _ = noisy.learnt(batch)
    assert frames.equal(plain.learnt(batch)[0]) and not torch.allclose(cond, plain.learnt(batch)[1], atol=1e-3)
    assert noisy.eval().learnt(batch)[1].equal(plain.eval().learnt(batch)[1])


@ANY_KIND
def test_another_voice_is_heard_in_training_alone(kind):
    """``history_voice`` reaches the conditions and never the frames to be drawn, and is gone when speaking."""
    strange, plain = (tiny_lm(2, kind, history_voice=most, dropout=0.0).train() for most in (1.0, 0.0))
    batch = stack([utterance(5, 12, prompt=4, prompt_phones=2, seed=seed) for seed in (3, 4)])
    torch.manual_seed(2)  # whose first permutation of two exchanges them
    frames, cond, _ = strange.learnt(batch)
    assert frames.equal(plain.learnt(batch)[0]) and not torch.allclose(cond, plain.learnt(batch)[1], atol=1e-3)
    assert strange.eval().learnt(batch)[1].equal(plain.eval().learnt(batch)[1])


@ANY_KIND
def test_a_model_hears_itself_in_training_alone(kind):
    """``own_history`` puts what the model says in the place of the utterances heard, not of their references, and never
    of the frames to be drawn."""
    lm = tiny_lm(2, kind, own_history=1.0, dropout=0.5).train()
    batch = stack([utterance(5, 20, prompt=4, prompt_phones=2, seed=3), utterance(6, 9, seed=4)])
    heard = lm._as_heard(batch).frames
    assert lm.training and heard.isfinite().all() and not heard.requires_grad
    changed = (heard != batch.frames).any(dim=2)
    assert changed[0].tolist() == [False] * 4 + [True] * 20 and changed[1].tolist() == [True] * 9 + [False] * 15
    assert lm.learnt(batch)[0].equal(tiny_lm(2, kind, dropout=0.0).learnt(batch)[0])
    assert lm.eval()._as_heard(batch) is batch


@pytest.mark.parametrize("kind, sizes", [("latent_lm", {}), ("prefix_lm", {}), ("prefix_lm", {"text_stride": 1.3})])
def test_utterances_are_retold_as_they_are_spoken(kind, sizes):
    """At no temperature, at the pace at which the model spoke: it says again what it said, whatever frames stand in
    the place of its own."""
    lm, still = tiny_lm(1, kind, **sizes).eval(), replace(QUICK, temperature=0.0)
    rows, spoken = [], []
    for prompt in PROMPTS.values():
        frames, begun = made(lm, prompt, still)
        spoken.append(torch.cat([prompt.frames[0], frames]))
        rows.append(continued(prompt, torch.randn_like(frames), begun))
    retold = lm.retold(stack(rows), still)
    assert not lm.training
    for frames, wanted in zip(retold.frames, spoken):
        assert_close(frames[: len(wanted)], wanted)


@ANY_KIND
def test_taught_frames_are_drawn_behind_recorded_ones(kind):
    """Each from the condition that it is learnt with; at no temperature no noise has a part in it."""
    lm, still = tiny_lm(3, kind).eval(), replace(QUICK, temperature=0.0)
    batch = utterance(6, 11, prompt=9, prompt_phones=5, seed=1)
    _, cond, _ = lm.learnt(batch)
    wanted = lm.head.sample(cond, lm.null, still, torch.zeros(20, lm.head.noise_dim))
    assert_close(lm.redrawn(batch, still)[0], wanted)
    assert not lm.redrawn(batch, QUICK)[0].allclose(wanted, atol=1e-2)


def test_evaluations_are_counted(lm):
    """A pass of the Transformer a step, the last of which decides the end, and those of the head."""
    passes = []
    hook = lm.transformer.register_forward_hook(lambda *_: passes.append(1))
    frames, sampling = len(speak(lm, PROMPTS["no reference"])[0]), Sampling(steps=3, guidance=2)
    hook.remove()
    steps = len(passes)
    wanted = {"decoding_steps": steps, "network_evaluations": steps + frames * lm.head.evaluations(sampling)}
    assert lm.evaluations(frames, sampling) == wanted and steps == frames + 1
