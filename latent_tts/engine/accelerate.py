"""Which engine runs a model, and how parts of a model are replaced by graphs."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from latent_tts.engine.graphs import decoder_graph, head_graph, transformer_graph
from latent_tts.engine.parts import GraphDecoder, GraphHead, GraphTransformer
from latent_tts.engine.quantize import quantized
from latent_tts.engine.store import GraphStore
from latent_tts.engine.threads import choose_threads, start
from latent_tts.errors import UserError
from latent_tts.frames import Sampling
from latent_tts.lm.latent_lm import LatentLM

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ENGINES = ("auto", "torch", "onnx")
NEEDED = ("onnxruntime", "onnx")


def choose_engine(engine: str, device: str) -> str:
    """``torch`` or ``onnx``; ``auto`` is what LATENT_TTS_ENGINE says in the environment, or onnx where it is installed
    and the device is a CPU. UserError for one that cannot be had."""
    engine = os.environ.get("LATENT_TTS_ENGINE", engine) if engine == "auto" else engine
    if engine not in ENGINES:
        raise UserError(f"engine is {engine!r}; choose {', '.join(ENGINES)}")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if engine == "onnx" and missing:
        raise UserError(f"the onnx engine needs {' and '.join(missing)}: pip install 'latent-tts[fast]'")
    if engine == "onnx" and device != "cpu":
        raise UserError(f"the onnx engine runs on a CPU, not on {device}; leave one of the two out")
    return "torch" if engine == "torch" or missing or device != "cpu" else "onnx"


def has_graphs(lm: nn.Module) -> bool:
    """Whether ``accelerate`` knows the parts of ``lm``: a causal Transformer that goes on by single steps, and a
    head."""
    return isinstance(lm, LatentLM)


def accelerate(
    codec: nn.Module,
    lm: nn.Module,
    store: GraphStore,
    torch_head: Callable[[], nn.Module],
    threads: int | None = None,
    int8: bool = True,
) -> None:
    """Replace the Transformer and the head of ``lm`` and the decoder of ``codec`` by graphs, in place.

    ``torch_head`` gives the head as a torch module again, for sampling that has no graph yet. ``threads`` None is what
    a calibration finds, kept in the ``store``. With ``int8`` False the graphs give what the modules give, to 1e-3.
    """
    kind, finish = ("int8", quantized) if int8 else ("fp32", bytes)

    def graph(name: str, make: Callable[[], bytes]) -> bytes:
        return store.get(f"{name}-{kind}", lambda: finish(make()))

    step = graph("transformer", lambda: transformer_graph(lm.transformer))
    decode = graph("decoder", lambda: decoder_graph(codec.decoder, codec.config.latent_dim))
    session = functools.partial(start, threads=threads or choose_threads(step, store))
    head = _graph_head(lm, graph, session, functools.cache(torch_head))
    lm.transformer, codec.decoder, lm.head = GraphTransformer(session(step)), GraphDecoder(session(decode)), head


def _graph_head(
    lm: nn.Module,
    graph: Callable[[str, Callable[[], bytes]], bytes],
    session: Callable[[bytes], InferenceSession],
    torch_head: Callable[[], nn.Module],
) -> GraphHead:
    """A head with the session that is usually asked for, and others when they are."""
    null, noise_dim, own = lm.null.detach(), lm.head.noise_dim, lm.head
    sessions: dict[str, InferenceSession] = {}

    @torch.inference_mode(False)  # what is traced must be plain tensors
    def session_of(sampling: Sampling, head: Callable[[], nn.Module] = torch_head) -> InferenceSession:
        name = f"head-{sampling.steps}-{'plain' if sampling.guidance == 1 else 'guided'}"
        if name not in sessions:
            sessions[name] = session(graph(name, lambda: head_graph(head(), null, noise_dim, sampling)))
        return sessions[name]

    session_of(Sampling(), lambda: own)
    return GraphHead(session_of, torch_head, noise_dim)
