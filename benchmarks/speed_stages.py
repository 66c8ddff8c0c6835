"""The stages of our own speaking that ``speed.py`` measures, by either engine: a call each, how often to repeat it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from speech_systems import CLONED, RATE, Own, text_of
from timing import interleave, spread

from latent_tts.engine.by_graphs import GraphModel, run
from latent_tts.engine.by_torch import TorchModel
from latent_tts.engine.making import drawing
from latent_tts.engine.passage import Passage
from latent_tts.frames import Sampling
from latent_tts.nn.state import State

PASTS = (64, 128, 256, 512, 1024)  # frames a stream has behind it
PROMPT = 101  # steps of a reference of 8 s

Stages = dict[str, tuple[Callable[[], object], int]]


@torch.inference_mode()
def stages(own: list[Own], recording: np.ndarray, rounds: int) -> Iterator[tuple[str, str, dict]]:
    """(stage, system, milliseconds) of each of our stages; a step is one frame, of 80 ms at 12.5 frames a second."""
    calls = {(stage, system): call for system in own for stage, call in stages_of(system, recording).items()}
    order = sorted(calls, key=lambda key: key[0])

    def go(system: Own, call: Callable[[], object], repeats: int) -> None:
        torch.set_num_threads(system.torch_threads)
        for _ in range(repeats):
            call()
        if system.tts.device == "cuda":
            torch.cuda.synchronize()

    times = interleave({key: functools.partial(go, key[1], *calls[key]) for key in order}, rounds)
    for (stage, system), taken in times.items():
        yield stage, system.name, spread(1000 * t / calls[stage, system][1] for t in taken)


def stages_of(system: Own, recording: np.ndarray) -> Stages:
    tts, model, decoding = system.tts, system.tts.model, {}
    width = system.voice.frames.shape[1]
    frames = np.random.default_rng(0).standard_normal((8, width), np.float32)
    own = by_graphs(model) if isinstance(model, GraphModel) else by_torch(model)
    return own | {
        "text of 10 s to phones": (lambda: tts.sentences(text_of(10)), 3),
        f"clone {CLONED:g} s": (lambda: tts.clone(recording, sample_rate=RATE), 1),
        "codec, decode a frame": (lambda: model.decode(frames[:1], decoding), 10),
        "codec, decode 8 frames": (lambda: model.decode(frames, decoding), 2),
    }


def by_torch(model: TorchModel) -> Stages:
    """The language model's modules."""
    lm, device = model.lm, model.device
    x, cond = (torch.randn(1, n, lm.config.dim, device=device) for n in (PROMPT, 1))
    noise = torch.randn(1, lm.head.noise_dim, device=device)
    found: Stages = {
        "lm, a prompt of 8 s": (lambda: lm.transformer(x, State()), 1),
        "head, a frame": (lambda: lm.head.sample(cond[:, 0], lm.null, Sampling(), noise), 10),
    }
    for past in PASTS:
        state = State()
        lm.transformer(torch.randn(1, past, lm.config.dim, device=device), state)
        found[f"lm, a step after {past:4d}"] = (functools.partial(lm.transformer, cond, state), 10)
    return found


def by_graphs(model: GraphModel) -> Stages:
    """Its graphs. That of the head holds what leads to it and from it too: the condition, the next step's input."""
    session, draw = model.session("step"), model.session(drawing(Sampling()))
    width = session.get_inputs()[0].shape[2]
    x = np.random.default_rng(0).standard_normal((1, max(PASTS), width), np.float32)
    none = np.zeros(1, np.int64)
    given = {i.name: x[:, 0, : i.shape[-1]] if len(i.shape) == 2 else np.float32(1.5) for i in draw.get_inputs()}
    given |= {"moves": none, "guidance": np.array(1.5, np.float32), "temperature": np.array(0.6, np.float32)}
    found: Stages = {
        "lm, a prompt of 8 s": (lambda: Passage(session, x[:, :PROMPT], none), 1),
        "head, a frame": (lambda: run(draw, given), 10),
    }
    for past in PASTS:
        passage = Passage(session, x[:, :past], none)
        found[f"lm, a step after {past:4d}"] = (functools.partial(passage.step, x[:, 0]), 10)
    return found
