"""Which engine runs a model, and how parts of a model are replaced by graphs."""

from __future__ import annotations

import functools
import importlib.util
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

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ENGINES = ("auto", "torch", "onnx")
NEEDED = ("onnxruntime", "onnx")


def choose_engine(engine: str, device: str) -> str:
    """``torch`` or ``onnx``: ``auto`` is onnx where it is installed and the device is a CPU. UserError for one that
    cannot be had."""
    if engine not in ENGINES:
        raise UserError(f"engine is {engine!r}; choose {', '.join(ENGINES)}")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if engine == "onnx" and missing:
        raise UserError(f"the onnx engine needs {' and '.join(missing)}: pip install 'latent-tts[fast]'")
    if engine == "onnx" and device != "cpu":
        raise UserError(f"the onnx engine runs on a CPU, not on {device}; leave one of the two out")
    return "torch" if engine == "torch" or missing or device != "cpu" else "onnx"


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
    torch_head = functools.cache(torch_head)
    head, null = lm.head, lm.null.detach()
    width = getattr(head, "noise_dim", lm.frame_format.width)
    kind, finish = ("int8", quantized) if int8 else ("fp32", bytes)

    def graph(name: str, make: Callable[[], bytes]) -> bytes:
        return store.get(f"{name}-{kind}", lambda: finish(make()))

    def head_of(sampling: Sampling, source: Callable[[], nn.Module]) -> bytes:
        name = f"head-{sampling.steps}-{'plain' if sampling.guidance == 1 else 'guided'}"
        return graph(name, lambda: head_graph(source(), null, width, sampling))

    step = graph("transformer", lambda: transformer_graph(lm.transformer))
    usual = head_of(Sampling(), lambda: head)
    decode = graph("decoder", lambda: decoder_graph(codec.decoder, codec.config.latent_dim))
    threads = threads or choose_threads(step, store)
    session = functools.partial(start, threads=threads)
    sessions = {_plan(Sampling()): session(usual)}

    @torch.inference_mode(False)  # what is traced must be plain tensors
    def session_of(sampling: Sampling) -> InferenceSession:
        plan = _plan(sampling)
        if plan not in sessions:
            sessions[plan] = session(head_of(sampling, torch_head))
        return sessions[plan]

    lm.transformer, codec.decoder = GraphTransformer(session(step)), GraphDecoder(session(decode))
    lm.head = GraphHead(session_of, torch_head, width)


def _plan(sampling: Sampling) -> tuple[int, bool]:
    """What a head's graph is made for."""
    return sampling.steps, sampling.guidance == 1
