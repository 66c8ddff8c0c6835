"""Graphs against the torch modules they are traced from: equal in fp32, near in 8 bits, and by the laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from laws import assert_close
from tiny import LATENT_DIM, tiny_aligner, tiny_codec, tiny_lm, tiny_model, utterance

from latent_tts.codec.autoencoder import Codec
from latent_tts.engine import passage
from latent_tts.engine.by_graphs import LONGEST, GraphModel
from latent_tts.engine.by_torch import TorchModel
from latent_tts.engine.quantize import NARROW
from latent_tts.engine.store import GraphStore
from latent_tts.frames import Sampling, Utterances, stack
from latent_tts.lm.heads import HEADS
from latent_tts.lm.latent_lm import LatentLM
from latent_tts.model_dir import save_part
from latent_tts.text.symbols import SymbolTable

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

QUICK = Sampling(steps=3, guidance=1.7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory) -> Callable[[str], GraphModel]:
    """``made(precision)``: the graphs of ``folder``, made once."""
    cache, models = tmp_path_factory.mktemp("cache"), {}

    def make(precision: str = "fp32") -> GraphModel:
        if precision not in models:
            store = GraphStore(cache, [folder / "lm.safetensors"])
            models[precision] = GraphModel(folder, store, 1, precision)
        return models[precision]

    return make


@pytest.fixture(scope="module")
def by_torch(folder) -> TorchModel:
    return TorchModel(folder)


def save_model(folder: Path, codec: Codec, lm: LatentLM) -> None:
    """A model directory of these parts, without an aligner."""
    save_part(folder, "codec", codec)
    save_part(folder, "lm", lm)
    SymbolTable.english().write(folder / "phones.txt")


def prompts() -> list[Utterances]:
    """References with and without text, of unequal lengths, and none."""
    sizes = [(5, 7, 3), (3, 2, 0), (8, 12, 4), (4, 0, 0)]
    return [arrays(utterance(n, 0, prompt=p, prompt_phones=t, seed=i)) for i, (n, p, t) in enumerate(sizes)]


def arrays(prompt: Utterances) -> Utterances:
    return Utterances(*(getattr(prompt, field.name).numpy() for field in fields(Utterances)))


def spoken(model, prompt: Utterances, sampling: Sampling = QUICK) -> list[torch.Tensor]:
    """The frames (N, D) of each row."""
    chunks = list(model.generate(prompt, sampling))
    frames, alive = (np.concatenate([getattr(c, name) for c in chunks], 1) for name in ("frames", "alive"))
    return [torch.from_numpy(row[lives]) for row, lives in zip(frames, alive)]


def assert_alike(one, other, prompt: Utterances, sampling: Sampling = QUICK, tolerance: float = 1e-3) -> None:
    for found, wanted in zip(spoken(one, prompt, sampling), spoken(other, prompt, sampling), strict=True):
        assert_close(found, wanted, tolerance)


DRAWN = [QUICK, Sampling(steps=2, guidance=1, speed=1.3), Sampling(steps=1, temperature=0)]


@pytest.mark.parametrize("sampling", DRAWN)
def test_frames_are_those_of_torch(made, by_torch, sampling):
    for prompt in (*prompts(), stack(prompts())):
        assert_alike(made(), by_torch, prompt, sampling)


def test_more_steps_than_a_graph_is_made_for(made, by_torch):
    assert_alike(made(), by_torch, prompts()[1], Sampling(steps=LONGEST + 1))


def test_a_batch_is_its_rows(made):
    for row, together in zip(prompts(), spoken(made(), stack(prompts()))):
        assert_close(together, spoken(made(), row)[0])


KINDS = [{"kind": "prefix_lm"}, {"previous_frame": True}, *({"head": head} for head in HEADS)]


@pytest.mark.parametrize("sizes", KINDS)
def test_every_kind_of_language_model(tmp_path, sizes):
    save_model(tmp_path, tiny_codec(), tiny_lm(0, **sizes))
    model = GraphModel(tmp_path, GraphStore(tmp_path, [tmp_path / "lm.safetensors"]), 1, "fp32")
    for prompt in (prompts()[0], stack(prompts())):
        assert_alike(model, TorchModel(tmp_path), prompt)


def test_a_stream_outgrows_its_room(made, by_torch, monkeypatch):
    monkeypatch.setattr(passage, "ROOM", 4)
    prompt = arrays(utterance(60, 0, prompt=3, prompt_phones=2))
    assert len(spoken(made(), prompt)[0]) > 4 * 3
    assert_alike(made(), by_torch, prompt)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_decoder_streams(made, by_torch, size):
    frames, state = np.random.default_rng(0).standard_normal((9, LATENT_DIM), np.float32), {}
    pieces = [made().decode(frames[i : i + size], state) for i in range(0, 9, size)]
    whole = torch.from_numpy(made().decode(frames, {}))
    assert_close(torch.from_numpy(np.concatenate(pieces)), whole)
    assert_close(whole, torch.from_numpy(by_torch.decode(frames, {})))


def test_an_upsampling_decoder(tmp_path):
    save_model(tmp_path, tiny_codec(decoder="upsampling"), tiny_lm())
    frames = np.random.default_rng(0).standard_normal((6, LATENT_DIM), np.float32)
    model = GraphModel(tmp_path, GraphStore(tmp_path, []), 1, "fp32")
    assert_close(*(torch.from_numpy(one.decode(frames, {})) for one in (model, TorchModel(tmp_path))))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_is_heard_is_what_torch_hears(made, by_torch, syllables, precision):
    """Encoder and aligner, which are fp32 at any precision: a voice is the same whichever engine made it."""
    wav, model = np.pad(syllables(2.0), (0, 1280 - 32000 % 1280)), made(precision)
    assert_close(*(torch.from_numpy(one.encode(wav)) for one in (model, by_torch)), 1e-3)
    assert_close(*(torch.from_numpy(one.hearing.posteriors(wav)) for one in (model, by_torch)), 1e-3)
    ours, theirs = model.hearing, tiny_aligner().hearing
    assert replace(ours, posteriors=None, classes=None) == replace(theirs, posteriors=None, classes=None)
    assert np.array_equal(ours.classes, theirs.classes)


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> tuple[GraphModel, TorchModel]:
    """In 8 bits and by torch, a model that is wide enough for 8 bits."""
    folder, width = tmp_path_factory.mktemp("wide"), 2 * NARROW
    save_model(folder, tiny_codec(frame_dim=width, decoder_dim=width), tiny_lm(dim=width, head_dim=width))
    return GraphModel(folder, GraphStore(folder, []), 1, "int8"), TorchModel(folder)


def test_8_bits_are_near(wide):
    """Where every move of the pointer is the likeliest one, the frames are those of fp32 but for a little."""
    sampling, prompt = replace(QUICK, duration_temperature=0), prompts()[2]
    (found,), (exact,) = (spoken(model, prompt, sampling) for model in wide)
    frames = np.random.default_rng(0).standard_normal((9, LATENT_DIM), np.float32)
    sounds = [torch.from_numpy(model.decode(frames, {})) for model in wide]
    for one, other in ((found[:3], exact[:3]), sounds):
        error = (one - other).norm() / other.norm()
        assert 1e-5 < error < 0.05, "8 bits are an approximation, and a close one"


def test_8_bit_rows_do_not_meet(wide):
    """What a row's inputs are rounded to does not hang on its neighbours: the first frames are equal."""
    model, _ = wide
    first = next(model.generate(stack(prompts()), QUICK)).frames
    alone = np.concatenate([next(model.generate(prompt, QUICK)).frames for prompt in prompts()])
    assert_close(torch.from_numpy(first), torch.from_numpy(alone), 1e-3)
