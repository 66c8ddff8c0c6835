"""What the rooms exchange: batches, voices on disk, and the limits of sampling."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from tiny import utterance

from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Utterances, Voice, stack


@pytest.mark.parametrize("kind", [torch.asarray, np.asarray])
def test_stacked_rows_keep_what_they_hold(kind):
    rows = [utterance(3, 8, 2, 1, seed=0), utterance(7, 4, seed=1), stack([utterance(1, 1), utterance(2, 12)])]
    rows = [Utterances(*(kind(getattr(row, field.name)) for field in fields(Utterances))) for row in rows]
    batch = stack(rows)
    assert len(batch) == 4 and batch.text.shape == (4, 7) and batch.frames.shape[:2] == (4, 12)
    first = 0
    for row in rows:
        for field in fields(Utterances):
            part, whole = getattr(row, field.name), getattr(batch, field.name)[first : first + len(row)]
            inside = tuple(slice(0, size) for size in part.shape)
            assert (whole[inside] == part).all() and whole.dtype == part.dtype and type(whole) is type(part)
            assert whole.sum() == pytest.approx(float(part.sum()), abs=1e-4), "padding must be zero"
        first += len(row)


def test_a_batch_moves_as_a_whole():
    batch = utterance(3, 8).to("meta")
    assert all(getattr(batch, field.name).is_meta for field in fields(Utterances))


@pytest.mark.parametrize(
    "values",
    [
        {"seed": -1}, {"seed": 2**63}, {"seed": (1, -1)},
        {"steps": 0}, {"steps": 1001}, {"guidance": -0.1}, {"guidance": 21},
        {"temperature": -1}, {"temperature": float("nan")}, {"duration_temperature": 3}, {"speed": 0.2},
        {"speed": float("inf")}, {"likeness": 1.1},
    ],
)  # fmt: skip
def test_sampling_has_limits(values):
    (name,) = values
    with pytest.raises(UserError, match=f"^{name} is .* choose a value from") as refused:
        Sampling(**values)
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError):
        replace(Sampling(), **values)


def test_the_edges_of_sampling_are_within():
    Sampling(seed=2**63 - 1, steps=1, guidance=0, temperature=0, duration_temperature=0, speed=0.25)
    Sampling(steps=1000, guidance=20, temperature=2, duration_temperature=2, speed=4)


def test_rows_have_seeds():
    assert Sampling(seed=3).seeds(2) == (3, 3) and Sampling(seed=(3, 4)).seeds(2) == (3, 4)
    with pytest.raises(UserError, match="2 seeds for 3 rows"):
        Sampling(seed=(3, 4)).seeds(3)


class TestVoice:
    @pytest.fixture
    def voice(self) -> Voice:
        about = {"text": "Hi.", "sample_rate": 16000, "consent": "my own"}
        frames = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
        return Voice(frames, ("_", "h", "ˈaɪ", "."), (0, 3, 4, 9), "0123456789abcdef", "Ann", **about)

    @pytest.mark.parametrize("text", [True, False])
    def test_saved_is_loaded(self, voice, text, tmp_path):
        voice = voice if text else Voice(voice.frames[::2], model="m")
        voice.save(tmp_path / "ann.voice")
        loaded = Voice.load(tmp_path / "ann.voice")
        assert np.array_equal(loaded.frames, voice.frames) and loaded.frames.dtype == voice.frames.dtype
        assert replace(loaded, frames=None) == replace(voice, frames=None)
        assert [path.name for path in tmp_path.iterdir()] == ["ann.voice"]

    def test_a_transport_is_kept_and_looked_at(self, voice, tmp_path):
        path, width = tmp_path / "ann.voice", voice.frames.shape[1]
        move = np.random.default_rng(1).normal(size=(width + 1, width)).astype(np.float32)
        replace(voice, transport=move).save(path)
        assert np.array_equal(Voice.load(path).transport, move)
        for spoilt in (move[:-1], move * np.nan, move[0]):
            replace(voice, transport=spoilt).save(path)
            self.refuse(path, "a damaged voice file")

    def test_a_new_name_is_another_voice(self, voice):
        assert voice.renamed("Bob").name == "Bob" and voice.name == "Ann"
        assert voice.renamed("Bob").frames is voice.frames

    def test_what_cannot_be_written_leaves_the_old_file(self, voice, tmp_path):
        voice.save(tmp_path / "ann.voice")
        with pytest.raises(TypeError):
            replace(voice, name=3).save(tmp_path / "ann.voice")
        assert Voice.load(tmp_path / "ann.voice").name == "Ann" and len(list(tmp_path.iterdir())) == 1

    @pytest.mark.parametrize("content", [b"", b"RIFF", b"\x00" * 100, pickle.dumps({"frames": 1})])
    def test_other_files_are_refused(self, content, tmp_path):
        (tmp_path / "ann.voice").write_bytes(content)
        self.refuse(tmp_path / "ann.voice", "not a voice file")

    def test_no_file_is_refused(self, tmp_path):
        self.refuse(tmp_path / "nowhere.voice", "nowhere.voice")
        self.refuse(tmp_path, "not a voice file")

    @pytest.mark.parametrize(
        "about",
        [None, {"format": "latent_tts voice 2"}, {"format": "latent_tts voice 1"}],
        ids=["a stranger's", "of another version", "incomplete"],
    )
    def test_other_safetensors_are_refused(self, voice, about, tmp_path):
        save_file({"frames": voice.frames, "starts": np.zeros(0)}, tmp_path / "ann.voice", metadata=about)
        self.refuse(tmp_path / "ann.voice", "not a voice file of this version")

    def test_the_version_before_is_read(self, voice, tmp_path):
        about = {"format": "latent_tts voice 1", "phones": "_ h", "model": "m", "name": "Ann"}
        save_file({"frames": voice.frames, "starts": np.array([0, 3])}, tmp_path / "ann.voice", metadata=about)
        loaded = Voice.load(tmp_path / "ann.voice")
        assert (loaded.phones, loaded.starts, loaded.text, loaded.sample_rate) == (("_", "h"), (0, 3), "", 0)

    @pytest.mark.parametrize("change", [{"phones": "_"}, {"sample_rate": "fast"}])
    def test_a_damaged_file_is_refused(self, voice, change, tmp_path):
        about = {"format": "latent_tts voice 2", "phones": "_ h", "model": "m", "name": "Ann"} | change
        save_file({"frames": voice.frames, "starts": np.array([0, 3])}, tmp_path / "ann.voice", metadata=about)
        self.refuse(tmp_path / "ann.voice", "damaged")

    def test_tensors_may_not_be_missing(self, voice, tmp_path):
        about = {"format": "latent_tts voice 1", "phones": "", "model": "", "name": ""}
        save_file({"frames": voice.frames}, tmp_path / "ann.voice", metadata=about)
        self.refuse(tmp_path / "ann.voice", "not a voice file")

    def refuse(self, path, complaint: str) -> None:
        with pytest.raises(UserError, match=complaint) as refused:
            Voice.load(path)
        assert "\n" not in str(refused.value) and "TTS.clone" in str(refused.value)
