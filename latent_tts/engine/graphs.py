"""Parts of a model as graphs for ONNX Runtime, traced from the torch modules themselves."""

from __future__ import annotations

import copy
import io
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from latent_tts.engine.fused import CachedAttention, fused
from latent_tts.frames import Sampling
from latent_tts.nn.state import State

OPSET = 20


def transformer_graph(transformer: nn.Module) -> bytes:
    """x (B, N, H), last (B,), count (), cos and sin (room, dim / 2), keys_i and values_i (B, heads, room, dim) ->
    y (B, N, H), new_keys_i, new_values_i: see ``CachedAttention``. New buffers are meant to be the old ones."""
    network = _CachedTransformer(fused(_own(transformer)))
    attentions = network.attentions
    heads, width = attentions[0].heads, attentions[0].width
    room = 8
    cache = [torch.zeros(1, heads, room, width) for _ in range(2 * len(attentions))]
    names = [f"{part}_{i}" for i in range(len(attentions)) for part in ("keys", "values")]
    inputs = {
        "x": torch.zeros(1, 2, heads * width),
        "last": torch.ones(1, dtype=torch.int32),
        "count": torch.tensor(2, dtype=torch.int32),
        "cos": torch.ones(room, width // 2),
        "sin": torch.zeros(room, width // 2),
        **dict(zip(names, cache)),
    }
    axes = {"x": ("B", "N"), "last": ("B",), "cos": ("room",), "sin": ("room",), "y": ("B", "N")}
    axes |= {prefix + name: {0: "B", 2: "room"} for name in names for prefix in ("", "new_")}
    return _export(network, inputs, ["y", *(f"new_{name}" for name in names)], axes)


def head_graph(head: nn.Module, null: Tensor, noise_dim: int, sampling: Sampling) -> bytes:
    """cond (B, H), noise (B, noise_dim), guidance (), temperature () -> frames (B, D), by ``head.sample`` with the
    steps of ``sampling``, and without guidance where it has none. Inputs that the head does not use are not there."""
    draw = _Draw(fused(_own(head)), null, sampling)
    inputs = {
        "cond": torch.zeros(1, len(null)),
        "noise": torch.zeros(1, noise_dim),
        "guidance": torch.tensor(1.5),
        "temperature": torch.tensor(0.5),
    }
    return _export(draw, inputs, ["frames"], {"cond": ("B",), "noise": ("B",), "frames": ("B",)})


def decoder_graph(decoder: nn.Module, width: int) -> bytes:
    """z (B, N, D), state_i (B, ...) -> wav (B, N * hop), new_state_i. A fresh stream's states are zeros."""
    network = _Streaming(fused(_own(decoder)), width)
    names = [f"state_{i}" for i in range(len(network.keys))]
    inputs = {"z": torch.zeros(1, 2, width), **dict(zip(names, network.fresh))}
    axes = {"z": ("B", "N"), "wav": ("B", "T")} | {prefix + name: ("B",) for name in names for prefix in ("", "new_")}
    return _export(network, inputs, ["wav", *(f"new_{name}" for name in names)], axes)


class _CachedTransformer(nn.Module):
    def __init__(self, transformer: nn.Module):
        super().__init__()
        self.transformer = transformer
        self.attentions = [m for m in transformer.modules() if isinstance(m, CachedAttention)]

    def forward(self, x: Tensor, last: Tensor, count: Tensor, cos: Tensor, sin: Tensor, *cache: Tensor) -> tuple:
        state = State(zip(self.attentions, zip(cache[::2], cache[1::2])))
        y = self.transformer(x, state, (last, count, cos, sin))
        return y, *(part for attention in self.attentions for part in state[attention])


class _Draw(nn.Module):
    def __init__(self, head: nn.Module, null: Tensor, sampling: Sampling):
        super().__init__()
        self.head, self.null, self.sampling = head, null.detach(), sampling

    def forward(self, cond: Tensor, noise: Tensor, guidance: Tensor, temperature: Tensor) -> Tensor:
        guidance = 1.0 if self.sampling.guidance == 1 else guidance
        sampling = Sampling(steps=self.sampling.steps, guidance=guidance, temperature=temperature)
        return self.head.sample(cond, self.null, sampling, noise)


class _Streaming(nn.Module):
    """A module that streams by a state, with the state's values as further inputs and outputs."""

    def __init__(self, module: nn.Module, width: int):
        super().__init__()
        self.module, state = module, State()
        with torch.no_grad():
            module(torch.zeros(1, 1, width), state)
        self.keys, self.fresh = list(state), [torch.zeros_like(value) for value in state.values()]

    def forward(self, x: Tensor, *values: Tensor) -> tuple:
        state = State(zip(self.keys, values))
        y = self.module(x, state)
        return y, *(state[key] for key in self.keys)


def _own(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).eval().requires_grad_(False)


def _export(network: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str], axes: dict) -> bytes:
    axes = {name: dims if isinstance(dims, dict) else dict(enumerate(dims)) for name, dims in axes.items()}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, about what is constant on purpose
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            file,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return optimized(file.getvalue())


def optimized(graph: bytes) -> bytes:
    """The graph after ONNX Runtime has folded what is constant and fused what it can."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, "graph.onnx"))
        onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return Path(options.optimized_model_filepath).read_bytes()
