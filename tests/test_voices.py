"""Saved voices: names that cannot leave the folder, files that appear whole, and blends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latent_tts.errors import UserError
from latent_tts.frames import Voice
from latent_tts.voices import BLEND_FRAMES, SUFFIX, VoiceStore, blend, home

ONES = np.ones((80, 6), np.float32)
ANNA = Voice(ONES[:40], ("_", "h", "ˈaɪ", "."), (0, 3, 9, 30), "m", "anna", "Hi.", 16000, "own voice")
BOB = Voice(-ONES, ("_", "j", "ˈɛ", "s", "."), (0, 2, 20, 50, 79), "m", "bob", "Yes.", 16000, "asked Bob")


@pytest.fixture
def store(tmp_path) -> VoiceStore:
    return VoiceStore(tmp_path / "deep" / "voices")


def test_saved_listed_loaded_removed(store):
    assert store.list() == []
    store.save("bob", BOB)
    path = store.save("anna-2", ANNA)
    assert path == store.folder / "anna-2.voice.safetensors" and store.list() == ["anna-2", "bob"]
    loaded = store.load("anna-2")
    assert np.array_equal(loaded.frames, ANNA.frames)
    assert replace(loaded, frames=None) == replace(ANNA, name="anna-2", frames=None)
    store.remove("bob")
    assert store.list() == ["anna-2"] and [file.name for file in store.folder.iterdir()] == [f"anna-2{SUFFIX}"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../secret", "/etc/passwd", "a/b", "a\\b", "a\x00b", "~", "a.b", "-a", "é", "a" * 65, "a\n"]
)
def test_names_that_are_none(store, name):
    (store.folder.parent).mkdir(parents=True)
    BOB.save(store.folder.parent / f"secret{SUFFIX}")
    for act in (store.load, store.remove, lambda name: store.save(name, ANNA)):
        with pytest.raises(UserError, match="is not the name of a voice"):
            act(name)
    assert [path.name for path in store.folder.parent.rglob("*")] == [f"secret{SUFFIX}"]


@given(st.text(max_size=80))
def test_no_name_leaves_the_folder(name):
    with pytest.raises(UserError):
        VoiceStore("nowhere").load(name)
    try:
        path = VoiceStore("nowhere").folder / f"{name}{SUFFIX}"
        VoiceStore("/proc/nowhere").save(name, ANNA)
    except UserError:
        return
    raise AssertionError(path)


def test_only_plain_files_are_voices(store):
    """Neither links, which may lead out of the folder, nor folders, nor names that ``save`` would refuse."""
    path = store.save("anna", ANNA)
    (store.folder / f"link{SUFFIX}").symlink_to(path)
    (store.folder / f"folder{SUFFIX}").mkdir()
    for odd in (f"-a{SUFFIX}", "b.safetensors", f"c{SUFFIX}.1.part"):
        (store.folder / odd).touch()
    assert store.list() == ["anna"]
    with pytest.raises(UserError, match=r"no voice 'link' in .* \(there: anna\)"):
        store.load("link")


def test_a_damaged_file_is_refused(store):
    store.save("anna", ANNA).write_bytes(b"RIFF")
    with pytest.raises(UserError, match="not a voice file"):
        store.load("anna")


def test_a_folder_that_cannot_be_made():
    with pytest.raises(UserError, match="cannot be made"):
        VoiceStore("/proc/voices").save("anna", ANNA)


def test_where_voices_live(monkeypatch, tmp_path):
    monkeypatch.delenv("LATENT_TTS_VOICES", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert home() == Path.home() / ".local/share/latent_tts/voices"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home() == tmp_path / "latent_tts/voices"
    monkeypatch.setenv("LATENT_TTS_VOICES", "own")
    assert VoiceStore().folder == Path("own")


class TestBlend:
    @pytest.mark.parametrize("weight", [0.0, 0.2, 0.5, 0.7, 1.0])
    def test_shares(self, weight):
        voice = blend(ANNA, BOB, weight)
        assert len(voice.frames) <= BLEND_FRAMES
        share = float((voice.frames[:, 0] < 0).mean())
        assert share == pytest.approx(weight, abs=0.02)
        assert voice.frames[-1, 0] == (-1 if weight >= 0.5 else 1)
        assert len(voice.phones) == len(voice.starts) and list(voice.starts) == sorted(voice.starts)
        assert not voice.starts or voice.starts[-1] < len(voice.frames)

    def test_what_is_told(self):
        half = blend(ANNA, BOB)
        assert half.consent == "own voice; asked Bob" and half.text == "Hi. Yes." and half.model == "m"
        assert blend(ANNA, replace(BOB, phones=(), starts=())).phones == ()

    def test_what_is_refused(self):
        with pytest.raises(UserError, match="different models"):
            blend(ANNA, replace(BOB, model="n"))
        for weight in (-0.1, 1.1, float("nan")):
            with pytest.raises(UserError, match="weight"):
                blend(ANNA, BOB, weight)
