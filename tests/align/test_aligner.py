"""Where phones begin: the search against torchaudio's, pauses against sounds whose silences are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import sound, tiny_aligner

from latent_tts.align.aligner import Aligner, AlignerConfig
from latent_tts.align.hearing import viterbi
from latent_tts.align.pauses import quiet_places, settle_pauses
from latent_tts.errors import UserError
from latent_tts.text.symbols import SymbolTable


def posteriors(frames: int, classes: int, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(frames, classes)).astype(np.float32) * 2
    return torch.from_numpy(logits).log_softmax(dim=1).numpy()


def first_frames(path: np.ndarray) -> list[int]:
    """Where each label of a CTC path (N,) begins."""
    before = np.r_[0, path[:-1]]
    return np.flatnonzero((path != 0) & (path != before)).tolist()


@pytest.mark.parametrize("seed", range(12))
def test_the_search_is_that_of_torchaudio(seed):
    """Over random posteriors, few classes, so that labels repeat, and lengths down to where nothing is to choose."""
    functional = pytest.importorskip("torchaudio.functional")
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, 4, rng.integers(1, 9))
    need = len(labels) + int((labels[1:] == labels[:-1]).sum())
    for frames in (need, need + 1, need + 17):
        output = posteriors(frames, 4, seed)
        path, scores = functional.forced_align(
            torch.from_numpy(output)[None], torch.from_numpy(labels)[None].int(), blank=0
        )
        starts, score = viterbi(output, labels)
        assert starts.tolist() == first_frames(path[0].numpy())
        assert score == pytest.approx(float(scores[0, starts].mean()), rel=1e-5)


def test_a_path_that_is_plain_is_found():
    """a a - b b - b: the repeated label needs a blank between."""
    path, labels = [1, 1, 0, 2, 2, 0, 2], np.array([1, 2, 2])
    output = np.full((7, 3), -9.0)
    output[np.arange(7), path] = -0.01
    starts, score = viterbi(output, labels)
    assert starts.tolist() == [0, 3, 6] and score == pytest.approx(-0.01)


@pytest.mark.parametrize("labels", [[1, 2, 3], [1, 1], [2, 2, 2]])
def test_too_short_a_recording_is_refused(labels):
    labels = np.array(labels)
    need = len(labels) + int((labels[1:] == labels[:-1]).sum())
    assert len(viterbi(posteriors(need, 4, 0), labels)[0]) == len(labels)
    with pytest.raises(UserError, match="too short for its text"):
        viterbi(posteriors(need - 1, 4, 0), labels)


RATE = 16000
SILENCES = [(0.0, 0.3), (0.8, 1.1), (1.9, 2.02), (2.6, 3.0)]  # seconds


@pytest.fixture
def wav() -> np.ndarray:
    """Three stretches of a tone over a faint hiss, silences between them."""
    time = np.arange(3 * RATE) / RATE
    tone = 0.2 * np.sin(2 * np.pi * 180 * time)
    for begin, end in SILENCES:
        tone[round(begin * RATE) : round(end * RATE)] = 0
    return (tone + 1e-4 * np.random.default_rng(0).normal(size=len(time))).astype(np.float32)


@pytest.mark.parametrize("late", [0.0, 0.05, 0.1])
def test_pauses_settle_where_the_sound_falls_silent(wav, late):
    """Separators said too late are moved to the beginnings of silences, phones said too early behind them to their
    ends."""
    #        _    a    b    ,    c    d    _     e     .
    onsets = [0.1, 0.32, 0.6, 0.85, 1.1, 1.5, 1.93, 2.04, 2.7]
    pauses = [True, False, False, True, False, False, True, False, True]
    behind = np.r_[False, pauses[:-1]]
    said = np.maximum.accumulate(np.array(onsets) + late * np.array(pauses) - 0.06 * behind)
    settled = settle_pauses(wav, RATE, said, pauses)
    wanted = [0.0, 0.3, 0.6, 0.8, 1.1, 1.5, 1.9, 2.02, 2.6]
    assert np.abs(settled - wanted).max() <= 0.0201, settled


def test_a_word_space_without_a_pause_stays(wav):
    """Within the sound no silence is near; onsets keep their places, on the grid of levels."""
    onsets = np.array([0.0, 0.34, 1.2, 1.3, 1.4])
    settled = settle_pauses(wav, RATE, onsets, [True, False, False, True, False])
    assert np.abs(settled[2:] - onsets[2:]).max() < 0.011


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_onsets_is_kept(wav, seed):
    """Whatever the network says, and wherever it takes pauses to be."""
    rng = np.random.default_rng(seed)
    onsets, pauses = np.sort(rng.uniform(0, 3, 20)), (rng.random(20) < 0.4).tolist()
    settled = settle_pauses(wav, RATE, onsets, pauses)
    assert settled[0] == 0 and (np.diff(settled) >= 0).all() and settled[-1] <= 3
    assert np.abs(settled - onsets)[1:].max() < 1.5


def test_quiet_is_relative_to_the_loud_parts():
    """Thirty decibels below speech, nearer the floor where the room is loud, nothing where all is equally loud."""
    speech = np.r_[np.full(50, -20.0), np.full(20, -55.0), np.full(10, -35.0)]
    assert quiet_places(speech).tolist() == [False] * 50 + [True] * 20 + [False] * 10
    room = np.r_[np.full(50, -20.0), np.full(20, -42.0)]
    assert quiet_places(room).tolist() == [False] * 50 + [True] * 20
    assert not quiet_places(np.full(30, -20.0)).any()


class TestAligner:
    def test_stress_is_dropped_and_pauses_are_one(self):
        table = SymbolTable.english()
        classes = dict(zip(table.symbols, tiny_aligner().classes.tolist()))
        assert classes["<pad>"] == 0 and 0 not in list(classes.values())[1:]
        assert classes["aɪ"] == classes["ˈaɪ"] == classes["ˌaɪ"] != classes["aʊ"]
        assert classes[","] == classes["?"] != classes["_"]
        assert sorted(set(classes.values())) == list(range(max(classes.values()) + 1))

    def test_rates_and_normalisation(self):
        aligner = tiny_aligner()
        output = aligner(sound(2, 6500))
        assert aligner.frame_rate == 50 and output.shape[:2] == (2, 6500 // 320)
        assert torch.allclose(output.exp().sum(dim=-1), torch.ones(2, 20), atol=1e-5)

    def test_it_looks_ahead_so_far_and_no_further(self):
        aligner, wav = tiny_aligner(), sound(1, 16000)
        other = wav.clone()
        other[:, 25 * 320 :] = 0.1
        change = (aligner(wav) - aligner(other)).abs().amax(dim=2)[0]
        lookahead = aligner.config.lookahead
        assert change[: 25 - lookahead].max() < 1e-4 < change[25 - lookahead : 25].max()

    def test_the_loss_is_ctc_a_phone(self):
        aligner, wav = tiny_aligner(), sound(2, 12000)
        text, lens = torch.tensor([[11, 40, 12], [13, 41, 0]]), torch.tensor([3, 2])
        loss = aligner.loss(wav, torch.tensor([12000, 8000]), text, lens)
        logs, classes, parts = aligner(wav), aligner.classes, []
        for i, frames in ((0, 37), (1, 25)):
            row, labels = logs[i : i + 1, :frames].transpose(0, 1), classes[text[i : i + 1, : lens[i]]]
            total = torch.nn.functional.ctc_loss(row, labels, [frames], [int(lens[i])], reduction="sum")
            parts.append(total / lens[i])
        assert loss.item() == pytest.approx(sum(parts).item() / 2, rel=1e-4)

    def test_it_learns_where_tones_are(self):
        """Trained for a few seconds on sequences of tones, it finds each within its time in a new one."""
        torch.manual_seed(0)
        names = ("<pad>", "_", "a", "b", "c")
        aligner = Aligner(names, AlignerConfig(n_mels=20, dim=24, blocks=2, lookahead=3), ("_",))
        optimizer = torch.optim.AdamW(aligner.parameters(), lr=6e-3)
        rng = np.random.default_rng(0)
        for _ in range(60):
            rows = [tones(rng) for _ in range(6)]
            wavs, ids = torch.stack([r[0] for r in rows]), torch.tensor([r[1] for r in rows])
            loss = aligner.loss(wavs, torch.full((6,), wavs.shape[1]), ids, torch.full((6,), ids.shape[1]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        wav, ids, onsets = tones(rng)
        found, score = aligner.eval().align(wav, ids)
        tones_begin, tones_end = onsets[1:4], onsets[2:]
        assert score > -2 and (found[1:4] > tones_begin - 0.05).all() and (found[1:4] < tones_end).all(), (
            found,
            onsets,
        )

    def test_a_text_that_does_not_fit(self):
        with pytest.raises(UserError, match="too short"):
            tiny_aligner().align(sound(1, 16000)[0], [11, 12] * 40)


def tones(rng: np.random.Generator) -> tuple[torch.Tensor, list[int], np.ndarray]:
    """A second of three different tones between silences: wav (T,), ids, onsets in seconds."""
    order, lengths = rng.permutation(3), rng.uniform(0.16, 0.24, 3)
    edges = 0.16 + np.r_[0, np.cumsum(lengths)]
    time, wav = np.arange(RATE) / RATE, 1e-4 * rng.normal(size=RATE)
    for place, tone in enumerate(order):
        inside = (time >= edges[place]) & (time < edges[place + 1])
        wav += 0.2 * inside * np.sin(2 * np.pi * (300, 900, 2500)[tone] * time)
    ids = [1, *(int(tone) + 2 for tone in order), 1]
    return torch.from_numpy(wav.astype(np.float32)), ids, np.r_[0, edges]
