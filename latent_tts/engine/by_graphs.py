"""A model that computes in ONNX Runtime, and nothing of it in torch."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latent_tts.align.hearing import Hearing
from latent_tts.engine.making import drawing, made
from latent_tts.engine.passage import Passage
from latent_tts.engine.store import GraphStore
from latent_tts.engine.threads import choose_threads, start
from latent_tts.frames import Chunk, Sampling, Utterances
from latent_tts.lm.walks import WALKS
from latent_tts.model_files import present

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SPEAKING = ("facts", "read", "step", drawing(Sampling()), "decode")
LISTENING = ("encode", "aligner", "hearing")
LONGEST = 64  # steps of a solver that are made a graph: its evaluations stand one behind the other


class GraphModel:
    """A ``Model`` of the graphs that the ``store`` holds of ``folder``. The first time all of them are made.

    ``threads`` None is what a calibration finds, kept in the store. ``precision`` is that of the weights that every
    frame has to pass: the step, the head and the decoder; fp32 gives what torch gives, to 1e-3. A session is opened
    when it is first used, so that a voice from a file costs no encoder.
    """

    def __init__(self, folder: Path, store: GraphStore, threads: int | None = None, precision: str = "int8"):
        self.folder, self.store, self.precision = folder, store, precision
        facts = json.loads(self._graph("facts"))
        self.sample_rate, self.hop_length = facts["sample_rate"], facts["hop_length"]
        self.frame_rate, self.noise_dim = facts["frame_rate"], facts["noise_dim"]
        self.decision, self.limit = facts["decision"], facts["limit"]
        step = self._graph("step")
        self.threads = threads or choose_threads(step, store)
        self.sessions: dict[str, InferenceSession] = {"step": start(step, self.threads)}
        for name in SPEAKING[1:]:
            self.session(name)

    def encode(self, wav: np.ndarray) -> np.ndarray:
        """(T,) -> (N, D)."""
        return self.session("encode").run(None, {"wav": wav[None]})[0][0]

    def decode(self, frames: np.ndarray, state: dict) -> np.ndarray:
        """(N, D) -> (N * hop_length,)."""
        session = self.session("decode")
        for i in session.get_inputs()[1:]:
            state.setdefault(i.name, np.zeros((1, *i.shape[1:]), np.float32))
        wav, *after = session.run(None, {"frames": frames[None], **state})
        state.update(zip(list(state), after))
        return wav[0]

    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """One frame a chunk, as ``LatentLM.generate``."""
        if sampling.steps > LONGEST:
            yield from self._by_torch.generate(prompt, sampling)
            return
        walk, rows = WALKS[self.decision](prompt, self.limit, sampling), np.arange(len(prompt))
        draw = self.session(drawing(sampling))
        given = {name: np.array(getattr(sampling, name), np.float32) for name in ("guidance", "temperature")}
        inputs, padding, before, after = run(self.session("read"), vars(prompt))
        passage = Passage(self.sessions["step"], inputs, padding)
        frames = np.pad(prompt.frames, ((0, 0), (1, 0), (0, 0)))[rows, prompt.frame_lens]
        while True:
            moves = walk.step(passage.thoughts)
            if not walk.alive.any():
                return
            given |= {"state": passage.state, "moves": moves, "previous": frames, "noise": walk.noise(self.noise_dim)}
            given |= {"before": before[rows, walk.places], "after": after[rows, walk.places]}
            frames, x = run(draw, given)
            yield Chunk(frames[:, None], walk.alive[:, None], walk.spoken[:, None])
            passage.step(x)

    @functools.cached_property
    def hearing(self) -> Hearing:
        """The aligner. UserError where the model has none."""
        present(self.folder / "aligner.safetensors")
        session, about = self.session("aligner"), json.loads(self._graph("hearing"))
        return Hearing(
            lambda wav: session.run(None, {"wav": wav[None]})[0][0],
            np.array(about["classes"]),
            frozenset(about["separators"]),
            about["sample_rate"],
            about["frame_rate"],
        )

    @functools.cached_property
    def _by_torch(self):
        from latent_tts.engine.by_torch import TorchModel

        return TorchModel(self.folder, threads=self.threads)

    def session(self, name: str) -> InferenceSession:
        """What runs the graph of that name."""
        if name not in self.sessions:
            self.sessions[name] = start(self._graph(name), self.threads)
        return self.sessions[name]

    def _graph(self, name: str) -> bytes:
        """What the store holds; where it lacks one of the usual graphs, all of them are made at once."""
        usual = SPEAKING + (LISTENING if (self.folder / "aligner.safetensors").exists() else LISTENING[:1])
        names = usual if name in usual else (name,)

        def make() -> dict[str, bytes]:
            graphs = made(self.folder, names, self.precision)
            return {f"{other}-{self.precision}": content for other, content in graphs.items()}

        return self.store.get(f"{name}-{self.precision}", make)


def run(session: InferenceSession, given: dict) -> list[np.ndarray]:
    """The outputs of a graph; what it does not ask for is left out."""
    return session.run(None, {i.name: given[i.name] for i in session.get_inputs()})
