"""Which graph is used, which is made anew, and which engine is chosen."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_lm, tiny_model

from latent_tts.engine import store as stores
from latent_tts.engine import threads
from latent_tts.engine.choice import choose_engine, goes_as_graphs
from latent_tts.engine.store import GraphStore
from latent_tts.errors import UserError
from latent_tts.frames import Sampling
from latent_tts.model_dir import save_part
from latent_tts.tts import TTS

QUICK = Sampling(steps=2)


@pytest.fixture
def weights(tmp_path) -> Path:
    (tmp_path / "weights").write_bytes(b"one")
    return tmp_path / "weights"


@pytest.fixture
def made() -> list[str]:
    """What had to be made."""
    return []


def getter(folder: Path, weights: Path, made: list[str]) -> Callable[[], bytes]:
    return lambda: GraphStore(folder, [weights]).get("part", lambda: (made.append("part"), {"part": b"graph"})[1])


def test_a_graph_is_made_once(tmp_path, weights, made):
    get = getter(tmp_path / "cache", weights, made)
    assert [get(), get()] == [b"graph", b"graph"] and made == ["part"]
    (file,) = (tmp_path / "cache").iterdir()
    assert file.name.startswith("part-"), "and nothing half-written lies beside it"


def test_other_weights_have_other_graphs(tmp_path, weights, made):
    get = getter(tmp_path / "cache", weights, made)
    get()
    weights.write_bytes(b"two")
    get()
    assert len(made) == 2 == len(list((tmp_path / "cache").iterdir()))


@pytest.mark.parametrize("part", ["_code", "KEPT"])
def test_other_code_has_other_graphs_and_the_oldest_go(tmp_path, weights, made, monkeypatch, part):
    get = getter(tmp_path / "cache", weights, made)
    for i in range(4):
        monkeypatch.setattr(stores, "_code", lambda i=i: f"code {i}")
        if part == "KEPT":
            monkeypatch.setattr(stores, "KEPT", 2)
        get()
        for age, file in enumerate(sorted((tmp_path / "cache").iterdir(), key=lambda f: -f.stat().st_mtime)):
            os.utime(file, (1e9 - age, 1e9 - age))
    assert len(made) == 4 and len(list((tmp_path / "cache").iterdir())) == (2 if part == "KEPT" else 4)


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b[:33], lambda b: b"", lambda b: b[:-1] + b"?"])
def test_a_spoilt_file_is_made_anew(tmp_path, weights, made, spoil):
    get = getter(tmp_path / "cache", weights, made)
    get()
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    assert get() == b"graph" and len(made) == 2
    assert get() == b"graph" and len(made) == 2


def test_a_cache_that_cannot_be_written_is_none(tmp_path, weights, made):
    (tmp_path / "cache").write_bytes(b"a file, not a folder")
    get = getter(tmp_path / "cache", weights, made)
    assert [get(), get()] == [b"graph", b"graph"] and len(made) == 2


def test_what_is_made_along_with_it_is_kept(tmp_path, weights):
    store = GraphStore(tmp_path / "cache", [weights])
    assert store.get("one", lambda: {"one": b"1", "other": b"2"}) == b"1"
    assert store.get("other", dict) == b"2" == GraphStore(tmp_path / "cache", [weights]).get("other", dict)


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("LATENT_TTS_CACHE", "/somewhere")
    assert stores.cache_folder() == Path("/somewhere")
    monkeypatch.delenv("LATENT_TTS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert stores.cache_folder() == Path("/caches/latent_tts")


@pytest.fixture
def installed(monkeypatch) -> Callable[[bool], None]:
    """``installed(False)``: as if the extra were missing."""
    monkeypatch.delenv("LATENT_TTS_ENGINE")
    find = importlib.util.find_spec

    def pretend(there: bool) -> None:
        names = ("onnx", "onnxruntime")
        monkeypatch.setattr("importlib.util.find_spec", lambda n: (there or None) if n in names else find(n))

    return pretend


def test_the_engine_is_what_can_be_had(installed, monkeypatch):
    installed(True)
    assert [choose_engine(e, "cpu") for e in ("auto", "torch", "onnx")] == ["onnx", "torch", "onnx"]
    assert choose_engine("auto", "cuda") == "torch"
    with pytest.raises(UserError, match="runs on a CPU, not on cuda"):
        choose_engine("onnx", "cuda")
    monkeypatch.setenv("LATENT_TTS_ENGINE", "torch")
    assert [choose_engine(e, "cpu") for e in ("auto", "onnx")] == ["torch", "onnx"]
    monkeypatch.delenv("LATENT_TTS_ENGINE")
    installed(False)
    assert [choose_engine(e, "cpu") for e in ("auto", "torch")] == ["torch", "torch"]
    with pytest.raises(UserError, match="onnxruntime and onnx.*fast") as refused:
        choose_engine("onnx", "cpu")
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="engine is 'tpu'; choose auto, torch, onnx"):
        choose_engine("tpu", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def test_without_the_extra_torch_speaks(folder, installed, caplog):
    installed(False)
    with caplog.at_level(logging.INFO, "latent_tts"):
        assert TTS.from_dir(folder).engine == "torch" and not caplog.records
    with pytest.raises(UserError, match="fast"):
        TTS.from_dir(folder, engine="onnx")


def test_an_engine_that_fails(folder, monkeypatch, caplog):
    """Asked for, it is an error of one line; chosen by auto, torch goes on and says so."""
    pytest.importorskip("onnx")
    monkeypatch.delenv("LATENT_TTS_ENGINE")

    def fail(*_: object) -> None:
        raise RuntimeError("no such node\nand more")

    monkeypatch.setattr("latent_tts.engine.graphs.step_graph", fail)
    with caplog.at_level(logging.INFO, "latent_tts"):
        assert TTS.from_dir(folder).engine == "torch"
    assert "no such node" in caplog.text and "and more" not in caplog.text
    with pytest.raises(UserError, match="no such node") as refused:
        TTS.from_dir(folder, engine="onnx")
    assert "\n" not in str(refused.value)


def test_speaking_by_graphs(folder, syllables: Callable[..., np.ndarray]):
    """A seed is a sound, a stream is the whole; and nothing but graphs makes it."""
    pytest.importorskip("onnx")
    tts = TTS.from_dir(folder, engine="onnx", threads=1)
    voice = tts.clone(syllables(), sample_rate=16000)
    wav = tts.speak("Hello there.", voice, QUICK)
    assert tts.engine == "onnx" and wav.dtype == np.float32 and np.isfinite(wav).all() and np.abs(wav).max() > 1e-4
    assert np.array_equal(wav, np.concatenate(list(tts.stream("Hello there.", voice, QUICK))))
    assert len(tts.speak_batch(["Hello there.", "No."], [voice, voice], QUICK)) == 2


def test_threads_are_found_once(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    tried = []
    monkeypatch.setattr(threads, "_fastest", lambda step, counts: (tried.append(counts), 2)[1])
    store = GraphStore(tmp_path, [])
    assert [threads.choose_threads(b"", store) for _ in range(2)] == [2, 2] and tried == [[1, 2]]
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert threads.choose_threads(b"", store) == 1 and len(tried) == 1


def test_more_threads_have_to_earn_their_place(monkeypatch):
    """Times are made up: with two threads a step takes a fixed part of what it takes with one."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    monkeypatch.setattr(threads, "start", lambda step, count: count)
    for part, wanted in ((0.5, 2), (0.97, 1), (1.5, 1)):
        now[0] = 0.0

        def walk(count: int, part: float = part):
            while True:
                now[0] += 0.01 if count == 1 else 0.01 * part
                yield

        monkeypatch.setattr(threads, "_walk", walk)
        assert threads._fastest(b"", [1, 2]) == wanted


@pytest.mark.parametrize(("kind", "sizes", "goes"), [
    ("prefix_lm", {}, True), ("prefix_lm", {"text_stride": 1.1}, False), ("latent_lm", {}, True)
])  # fmt: skip
def test_only_steps_that_turn_by_their_places_go_as_graphs(tmp_path, kind, sizes, goes):
    save_part(tmp_path, "lm", tiny_lm(kind=kind, **sizes))
    assert goes_as_graphs(tmp_path) is goes
