"""What speaks, whatever computes it, and which engine that is."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from latent_tts.align.hearing import Hearing
from latent_tts.engine.by_graphs import GraphModel
from latent_tts.engine.store import GraphStore, cache_folder
from latent_tts.errors import UserError
from latent_tts.frames import Chunk, Sampling, Utterances
from latent_tts.model_files import STEPPING, present, read_config

ENGINES = ("auto", "torch", "onnx")
NEEDED = ("onnxruntime", "onnx")
WEIGHED = ("config.yaml", "codec.safetensors", "lm.safetensors", "phones.txt")  # what graphs are made of

log = logging.getLogger("latent_tts")


class Model(Protocol):
    """A model directory that is ready to speak: codec, language model and aligner behind numpy arrays."""

    sample_rate: int  # Hz
    hop_length: int  # samples a frame
    frame_rate: float  # frames a second
    hearing: Hearing

    def encode(self, wav: np.ndarray) -> np.ndarray:
        """A whole sound (T,) float32, T whole frames -> its frames (N, D | Q)."""
        ...

    def decode(self, frames: np.ndarray, state: dict) -> np.ndarray:
        """Frames (N, D | Q) -> sound (N * hop_length,) float32. A stream begins with an empty ``state`` and owns it."""
        ...

    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """Chunks of a batch until every row has stopped, as ``FrameLM.generate``, all of arrays."""
        ...


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


def goes_as_graphs(folder: Path) -> bool:
    """Whether graphs can be made of the language model that config.yaml tells of: one that goes step by step, each
    step turned by its place."""
    about = read_config(folder).get("lm")
    return isinstance(about, dict) and about.get("kind") in STEPPING and about.get("text_stride") is None


def load_model(folder: Path, device: str, engine: str, threads: int | None) -> tuple[Model, str]:
    """The model of a directory and the engine that it runs by. Where ``auto`` chose onnx and that fails, torch goes on.

    Only the torch engine imports torch here, and onnx the first time, in a process of its own. UserError says what is
    wrong with the directory.
    """
    chosen = choose_engine(engine, device)
    if chosen == "onnx" and not goes_as_graphs(folder):
        log.info("speaking by torch, since there are no graphs for this kind of language model")
        chosen = "torch"
    if chosen == "onnx":
        files = [present(folder / name) for name in WEIGHED]
        files += [path for path in [folder / "aligner.safetensors"] if path.exists()]
        try:
            return GraphModel(folder, GraphStore(cache_folder(), files), threads), chosen
        except UserError:
            raise
        except Exception as error:  # of a tracer or a runtime of another version, say; the model itself is sound
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if engine == "onnx":
                raise UserError(f"{folder}: no graph can be made of it ({reason}); use the torch engine") from None
            log.info("speaking by torch, since the onnx engine failed (%s)", reason)
    from latent_tts.engine.by_torch import TorchModel

    return TorchModel(folder, device, threads), "torch"
