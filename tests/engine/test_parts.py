"""Graphs against the torch modules they are traced from: equal in fp32, near in 8 bits, and by the laws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from laws import assert_close, batch_is_rows, streams
from tiny import LATENT_DIM, tiny_codec, tiny_lm, tiny_model, utterance

from latent_tts.engine.accelerate import accelerate
from latent_tts.engine.store import GraphStore
from latent_tts.frames import Sampling, stack
from latent_tts.model_dir import load_codec, load_lm
from latent_tts.nn.state import State

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

QUICK = Sampling(steps=3, guidance=1.7)
KINDS = {"fp32": False, "int8": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory) -> Callable:
    """``made(kind)`` is a codec and a language model with graphs in them, made once."""
    cache, models = tmp_path_factory.mktemp("cache"), {}

    def make(kind: str) -> tuple:
        if kind not in models:
            codec, lm = load_codec(folder), load_lm(folder)
            store = GraphStore(cache, [folder / "lm.safetensors"])
            accelerate(codec, lm, store, lambda: load_lm(folder).head, threads=1, int8=KINDS[kind])
            models[kind] = codec, lm
        return models[kind]

    return make


def prompts() -> list:
    """References with and without text, of unequal lengths."""
    sizes = [(5, 7, 3), (3, 2, 0), (8, 12, 4)]
    return [utterance(n, 0, prompt=p, prompt_phones=t, seed=i) for i, (n, p, t) in enumerate(sizes)]


def spoken(lm, prompt, sampling: Sampling = QUICK) -> torch.Tensor:
    """(N, D): the frames of a prompt of one row."""
    return torch.cat([chunk.frames for chunk in lm.generate(prompt, sampling)], dim=1)[0]


@pytest.mark.parametrize("sampling", [QUICK, Sampling(steps=2, guidance=1), Sampling(steps=1, temperature=0)])
def test_frames_are_those_of_torch(made, folder, sampling):
    _, lm = made("fp32")
    for prompt in prompts():
        assert_close(spoken(lm, prompt, sampling), spoken(load_lm(folder), prompt, sampling), 1e-3)


def test_more_steps_than_a_graph_is_made_for(made, folder):
    _, lm = made("fp32")
    many = Sampling(steps=lm.head.longest + 1)
    assert_close(spoken(lm, prompts()[1], many), spoken(load_lm(folder), prompts()[1], many), 1e-3)


def test_a_batch_is_its_rows(made):
    _, lm = made("fp32")

    def frames(rows: list) -> list[torch.Tensor]:
        chunks = list(lm.generate(stack(rows), QUICK))
        return [torch.cat([c.frames[i] for c in chunks if c.alive[i, 0]]) for i in range(len(rows))]

    batch_is_rows(frames, prompts())


def test_a_text_prefix(tmp_path):
    """The other kind of language model: prompts of text and frames, padded in a batch."""
    lm, wanted = (tiny_lm(0, "prefix_lm") for _ in range(2))
    accelerate(tiny_codec(), lm, GraphStore(tmp_path, []), lambda: wanted.head, threads=1, int8=False)
    for prompt in (*prompts(), stack(prompts())):
        assert_close(spoken(lm, prompt), spoken(wanted, prompt), 1e-3)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_the_transformer_streams(made, folder, size):
    network, x = made("fp32")[1].transformer, torch.randn(2, 20, 32)
    streams(network, x, size)
    with torch.inference_mode():
        assert_close(network(x), load_lm(folder).transformer(x), 1e-4)


def test_a_stream_outgrows_its_room(made, folder, monkeypatch):
    monkeypatch.setattr("latent_tts.engine.parts.ROOM", 4)
    network, state, x = made("fp32")[1].transformer, State(), torch.randn(1, 30, 32)
    output = torch.cat([network(step, state) for step in x.split(1, dim=1)], dim=1)
    assert state[network].room >= 30
    with torch.inference_mode():
        assert_close(output, load_lm(folder).transformer(x), 1e-4)


def test_a_fork_goes_its_own_way(made):
    network, prompt, tails = made("fp32")[1].transformer, torch.randn(1, 5, 32), torch.randn(2, 1, 3, 32)
    state = State()
    network(prompt, state)
    forks = [state.fork() for _ in tails]
    outputs = [[network(tail[:, i : i + 1], fork) for tail, fork in zip(tails, forks)] for i in range(3)]
    for tail, output in zip(tails, zip(*outputs)):
        assert_close(torch.cat(output, 1), network(torch.cat([prompt, tail], 1))[:, 5:])


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_decoder_streams(made, folder, size):
    codec, frames = made("fp32")[0], torch.randn(2, 9, LATENT_DIM)
    streams(lambda x, state: codec.decode(x, state)[:, 0, :, None], frames, size)
    with torch.inference_mode():
        assert_close(codec.decode(frames), load_codec(folder).decode(frames), 1e-4)


def test_an_upsampling_decoder(tmp_path):
    codec, wanted = tiny_codec(decoder="upsampling"), tiny_codec(decoder="upsampling")
    accelerate(codec, tiny_lm(), GraphStore(tmp_path, []), lambda: tiny_lm().head, threads=1, int8=False)
    frames = torch.randn(1, 6, LATENT_DIM)
    with torch.inference_mode():
        assert_close(codec.decode(frames), wanted.decode(frames), 1e-4)


@torch.inference_mode()
def test_8_bits_are_near(made, folder):
    """Each part by itself gives what torch gives, but for a fiftieth of its size."""
    (codec, lm), wanted_codec, wanted = made("int8"), load_codec(folder), load_lm(folder)
    x, frames = torch.randn(1, 12, 32), torch.randn(1, 9, LATENT_DIM)
    cond, noise = torch.randn(4, 32), torch.randn(4, LATENT_DIM)
    pairs = [
        (lm.transformer(x), wanted.transformer(x)),
        (lm.head.sample(cond, lm.null, QUICK, noise), wanted.head.sample(cond, wanted.null, QUICK, noise)),
        (codec.decode(frames), wanted_codec.decode(frames)),
    ]
    for found, exact in pairs:
        error = (found - exact).norm() / exact.norm()
        assert 1e-5 < error < 0.02, "8 bits are an approximation, and a close one"


@torch.inference_mode()
def test_8_bit_rows_do_not_meet(made):
    """What a row's inputs are rounded to does not hang on its neighbours."""
    head = made("int8")[1].head
    cond, noise = torch.randn(5, 32), torch.randn(5, LATENT_DIM)
    together = head.sample(cond, None, QUICK, noise)
    alone = torch.cat([head.sample(cond[i : i + 1], None, QUICK, noise[i : i + 1]) for i in range(5)])
    assert_close(together, alone, 1e-5)
