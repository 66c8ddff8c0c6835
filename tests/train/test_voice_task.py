"""Whose voice a sound has, as tensors, and a language model that learns to keep its reference's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import LATENT_DIM, tiny_codec, tiny_frame_pack, tiny_lm

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.frames import Utterances
from latent_tts.model_dir import load_codec, load_lm, save_part

pytest.importorskip("resemblyzer")


@pytest.fixture(scope="module")
def speaker():
    from latent_tts.speaker import SpeakerEmbedding

    return SpeakerEmbedding(16000)


@pytest.fixture(scope="module")
def spoken(reference: Path) -> np.ndarray:
    return audio.read_reference(reference, 16000)[0]


@pytest.mark.parametrize("seconds", [0.7, 1.9, 2.5, 4.0])
def test_embeddings_are_resemblyzers(speaker, spoken, seconds):
    """What ``embed_utterance`` says of the same sound at the level it wants, whatever lies behind and beside it."""
    from resemblyzer.audio import normalize_volume

    wav = 0.02 * spoken[: round(seconds * 16000)]
    wanted = speaker.encoder.embed_utterance(normalize_volume(wav, -30, increase_only=True))
    behind = np.pad(wav, (0, len(spoken) - len(wav)), constant_values=0.3)
    got = speaker(torch.from_numpy(np.stack([behind, spoken])), [len(wav), 30000])
    assert np.abs(got[0].numpy() - wanted).max() < 1e-4 and got.shape == (2, 256)


def test_another_rate_is_refused():
    from latent_tts.speaker import SpeakerEmbedding

    with pytest.raises(UserError, match="at 16000 Hz, not 24000"):
        SpeakerEmbedding(24000)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for part, module in {"codec": tiny_codec(), "lm": tiny_lm()}.items():
        save_part(tmp_path / "model", part, module)
    return tmp_path / "model"


def batch_of(*rows: tuple[int, int, int]) -> Utterances:
    """Rows of references of so many frames and phones that are known of them, and utterances."""
    from tiny import utterance

    from latent_tts.frames import stack

    made = [utterance(6, frames, prompt, told, seed) for seed, (prompt, told, frames) in enumerate(rows)]
    return stack(made)


def test_only_long_rows_count_and_each_by_its_own_frames(model):
    """A short reference, a short utterance and what is padding change nothing; a told reference's frames, which the
    language model learns too, are no part of the utterance."""
    from latent_tts.train.voice_task import VoiceTask

    task = VoiceTask(model, tiny_lm().config).eval()
    task.lm.load_state_dict(load_lm(model).state_dict())
    task.lm.head.sample = lambda cond, null, sampling, noise: cond[:, :LATENT_DIM]  # no noise: rows can be compared
    rows = (30, 0, 25), (10, 0, 30), (25, 4, 40), (30, 0, 10)

    @torch.no_grad()
    def unlike(*some: tuple[int, int, int]) -> torch.Tensor | None:
        batch = batch_of(*some)
        return task.unlike(task.lm, batch, task.lm.learnt(batch)[1])

    first, third = (batch_of(*rows[:3]), 0), (batch_of(*rows[:3]), 2)
    alone = []
    for batch, row in (first, third):
        one = Utterances(*(getattr(batch, name)[row : row + 1] for name in batch.__dataclass_fields__))
        with torch.no_grad():
            alone.append(task.unlike(task.lm, one, task.lm.learnt(one)[1]))
    assert float(unlike(*rows)) == pytest.approx(float(sum(alone)) / 2, abs=1e-4)
    assert unlike((10, 0, 30), (30, 0, 10)) is None


def test_the_codec_has_to_be_the_language_models(model):
    from latent_tts.train.voice_task import VoiceTask

    with pytest.raises(UserError, match="frames of 6 floats, lm is latent_lm with frames of 5 floats"):
        VoiceTask(model, tiny_lm(frame_dim=5).config)


def test_what_it_says_comes_nearer_to_its_reference(model, stage, tmp_path, capsys):
    """The gradient reaches the language model through codec and solver, and moves nothing else."""
    from latent_tts.train.voice_task import VoiceTask

    tiny_frame_pack(tmp_path / "data/train", "aaaabbbbcccc" * 2)
    tiny_frame_pack(tmp_path / "data/valid")
    batch = batch_of((30, 0, 25), (30, 0, 40), (25, 4, 40))
    task = VoiceTask(model, tiny_lm().config).eval()
    task.lm.load_state_dict(load_lm(model).state_dict())
    before = load_codec(model).state_dict()
    optimizer, seen = torch.optim.Adam(task.lm.parameters(), 3e-3), []
    for _ in range(25):
        torch.manual_seed(0)
        unlike = task.unlike(task.lm, batch, task.lm.learnt(batch)[1])
        optimizer.zero_grad()
        unlike.backward()
        optimizer.step()
        seen.append(float(unlike))
    assert seen[-1] < 0.8 * seen[0]
    assert all(torch.equal(before[name], value) for name, value in task.codec.state_dict().items())
    options = ["--task.codec", model, "--task.training.steps", 2, "--task.training.batch_frames", 200]
    options += ["--task.lm.own_history", 1.0, "--fit.progress", "false"]
    where = ["--data", tmp_path / "data", "--exp", tmp_path / "exp", "--init", model]
    assert stage("train", "voice", *where, *options) == 0
    assert stage("pack_model", "voice", "--exp", tmp_path / "exp", "--out", tmp_path / "out") == 0
    pairs = zip(load_lm(model).parameters(), load_lm(tmp_path / "out").parameters())
    assert any(not torch.equal(a, b) for a, b in pairs)
