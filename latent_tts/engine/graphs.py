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

from latent_tts.align.aligner import Aligner
from latent_tts.codec.autoencoder import Codec
from latent_tts.engine.fused import CachedAttention, fused
from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.latent_lm import LatentLM, Reading
from latent_tts.nn.state import State

OPSET = 20


PROMPT = ("text", "text_lens", "frames", "frame_lens", "prompt_lens", "prompt_text_lens", "starts")


def reading_graph(lm: LatentLM) -> bytes:
    """A prompt as in ``Utterances``, (B, ...) each -> what ``LatentLM.reading`` gives of it, but positions."""
    network, width = _Read(_own(lm)), lm.config.frame_dim
    one = {"text": torch.ones(1, 3, dtype=torch.int64), "frames": torch.zeros(1, 2, width)}
    one |= {"text_lens": torch.tensor([3]), "frame_lens": torch.tensor([2]), "prompt_lens": torch.tensor([2])}
    one |= {"prompt_text_lens": torch.tensor([1]), "starts": torch.zeros(1, 3, dtype=torch.int64)}
    axes = {name: ("B", "L") if name in ("text", "starts") else ("B", "N") for name in PROMPT if name[-4:] != "lens"}
    axes |= {name: ("B",) for name in PROMPT if name[-4:] == "lens"}
    axes |= {"inputs": ("B", "M"), "padding": ("B",), "before": ("B", "P"), "after": ("B", "P")}
    outputs = [name for name in Reading._fields if name != "positions"]
    return _export(network, {name: one[name] for name in PROMPT}, outputs, axes)


def step_graph(lm: LatentLM) -> bytes:
    """x (B, N, H), last (B,), count (), cos and sin (room, dim / 2), keys_i and values_i (B, heads, room, dim) ->
    state (B, N, H), thoughts (B, N, K), new_keys_i, new_values_i: a step of the Transformer (see ``CachedAttention``)
    and what a Walk decides by. New buffers are meant to be the old ones."""
    network = _Step(fused(_own(lm)))
    heads, width = network.attentions[0].heads, network.attentions[0].width
    room = 8
    cache = [torch.zeros(1, heads, room, width) for _ in range(2 * len(network.attentions))]
    names = [f"{part}_{i}" for i in range(len(network.attentions)) for part in ("keys", "values")]
    inputs = {
        "x": torch.zeros(1, 2, heads * width),
        "last": torch.ones(1, dtype=torch.int32),
        "count": torch.tensor(2, dtype=torch.int32),
        "cos": torch.ones(room, width // 2),
        "sin": torch.zeros(room, width // 2),
        **dict(zip(names, cache)),
    }
    axes = {"x": ("B", "N"), "last": ("B",), "cos": ("room",), "sin": ("room",)}
    axes |= {"state": ("B", "N"), "thoughts": ("B", "N")}
    axes |= {prefix + name: {0: "B", 2: "room"} for name in names for prefix in ("", "new_")}
    return _export(network, inputs, ["state", "thoughts", *(f"new_{name}" for name in names)], axes)


def draw_graph(lm: LatentLM, sampling: Sampling) -> bytes:
    """state (B, H), moves (B,) int64, before and after (B, H), previous (B, D), noise (B, noise_dim), guidance (),
    temperature () -> frames (B, D), x (B, H): ``LatentLM.draw`` with the steps of ``sampling``, and without guidance
    where it has none. Inputs that the model does not use are not there."""
    wide, frame = torch.zeros(1, lm.config.dim), torch.zeros(1, lm.config.frame_dim)
    inputs = {"state": wide, "moves": torch.zeros(1, dtype=torch.int64), "before": wide, "after": wide}
    inputs |= {"previous": frame, "noise": torch.zeros(1, lm.head.noise_dim)}
    inputs |= {"guidance": torch.tensor(1.5), "temperature": torch.tensor(0.5)}
    axes = dict.fromkeys((*list(inputs)[:6], "frames", "x"), ("B",))
    return _export(_Draw(fused(_own(lm)), sampling), inputs, ["frames", "x"], axes)


def decoder_graph(codec: Codec) -> bytes:
    """frames (B, N, D), state_i (B, ...) -> wav (B, N * hop), new_state_i. A fresh stream's states are zeros."""
    network = _Decode(fused(_own(codec)))
    names = [f"state_{i}" for i in range(len(network.keys))]
    inputs = {"frames": torch.zeros(1, 2, codec.frame_format.width), **dict(zip(names, network.fresh))}
    axes = {"frames": ("B", "N"), "wav": ("B", "T")}
    axes |= {prefix + name: ("B",) for name in names for prefix in ("", "new_")}
    return _export(network, inputs, ["wav", *(f"new_{name}" for name in names)], axes)


def encoder_graph(codec: Codec) -> bytes:
    """wav (1, T), a whole signal -> frames (1, N, D)."""
    inputs = {"wav": torch.zeros(1, 4 * codec.hop_length)}
    return _export(_Encode(fused(_own(codec))), inputs, ["frames"], {"wav": {1: "T"}, "frames": {1: "N"}})


def aligner_graph(aligner: Aligner) -> bytes:
    """wav (1, T) -> log posteriors (1, N, classes)."""
    inputs = {"wav": torch.zeros(1, aligner.config.sample_rate)}
    return _export(fused(_own(aligner)), inputs, ["posteriors"], {"wav": {1: "T"}, "posteriors": {1: "N"}})


class _Read(nn.Module):
    def __init__(self, lm: LatentLM):
        super().__init__()
        self.lm = lm

    def forward(self, *prompt: Tensor) -> Reading:
        return self.lm.reading(Utterances(**dict(zip(PROMPT, prompt))))


class _Step(nn.Module):
    def __init__(self, lm: LatentLM):
        super().__init__()
        self.lm = lm
        self.attentions = [m for m in lm.transformer.modules() if isinstance(m, CachedAttention)]

    def forward(self, x: Tensor, last: Tensor, count: Tensor, cos: Tensor, sin: Tensor, *cache: Tensor) -> tuple:
        past = State(zip(self.attentions, zip(cache[::2], cache[1::2])))
        state = self.lm.transformer(x, past, (last, count, cos, sin))
        return state, self.lm.think(state), *(part for attention in self.attentions for part in past[attention])


class _Draw(nn.Module):
    def __init__(self, lm: LatentLM, sampling: Sampling):
        super().__init__()
        self.lm, self.sampling = lm, sampling

    def forward(
        self,
        state: Tensor,
        moves: Tensor,
        before: Tensor,
        after: Tensor,
        previous: Tensor,
        noise: Tensor,
        guidance: Tensor,
        temperature: Tensor,
    ) -> tuple[Tensor, Tensor]:
        guidance = 1.0 if self.sampling.guidance == 1 else guidance
        sampling = Sampling(steps=self.sampling.steps, guidance=guidance, temperature=temperature)
        return self.lm.draw(state, moves, (before, after), previous, noise, sampling)


class _Encode(nn.Module):
    def __init__(self, codec: Codec):
        super().__init__()
        self.codec = codec

    def forward(self, wav: Tensor) -> Tensor:
        return self.codec.encode(wav[:, None])


class _Decode(nn.Module):
    """A codec's decoder, with its state's values as further inputs and outputs."""

    def __init__(self, codec: Codec):
        super().__init__()
        self.codec, state = codec, State()
        with torch.no_grad():
            codec.decode(torch.zeros(1, 1, codec.frame_format.width), state)
        self.keys, self.fresh = list(state), [torch.zeros_like(value) for value in state.values()]

    def forward(self, frames: Tensor, *values: Tensor) -> tuple:
        state = State(zip(self.keys, values))
        wav = self.codec.decode(frames, state)[:, 0]
        return wav, *(state[key] for key in self.keys)


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
