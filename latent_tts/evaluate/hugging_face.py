"""Instruments from Hugging Face folders, by transformers: a Whisper that hears, x-vectors that tell voices apart.

Weights are read from safetensors alone, never from a pickle.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import numpy as np
import torch

from latent_tts import audio
from latent_tts.errors import UserError

INSTALL = "pip install 'transformers>=4.56'"
RATE = 16000  # of all these models
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


class Segment(NamedTuple):
    """A part of what is heard; how sure of it the model is is not told."""

    text: str
    avg_logprob: float = float("nan")
    tokens: Sequence[int] = ()

    @property
    def compression_ratio(self) -> float:
        """How many times the text compresses."""
        said = self.text.encode()
        return len(said) / len(zlib.compress(said))


class HuggingFaceWhisper:
    """A Whisper by transformers, which answers ``transcribe`` as faster-whisper's model does.

    ``source`` is a folder, or a name such as ``openai/whisper-base`` that is fetched unless it is in the cache.
    """

    def __init__(self, source: str | Path, threads: int = 1):
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        self.processor = _loaded(WhisperProcessor, source)
        self.model = _model(WhisperForConditionalGeneration, source)
        self.threads = threads

    @torch.inference_mode()
    def transcribe(
        self,
        wav: np.ndarray,
        language: str,
        beam_size: int,
        temperature: float,
        condition_on_previous_text: bool,
        without_timestamps: bool,
    ) -> tuple[Iterator[Segment], None]:
        """What is heard in ``wav`` (T,) at 16 kHz, as one segment. Of more than 30 s there are time stamps in any case:
        by these transformers finds where to go on."""
        window = self.processor.feature_extractor.n_samples
        longer = {"truncation": False, "padding": "longest"} if len(wav) > window else {}
        heard = self.processor(wav, sampling_rate=RATE, return_attention_mask=True, return_tensors="pt", **longer)
        many = getattr(self.model.generation_config, "is_multilingual", False)
        told = {"language": language, "task": "transcribe"} if many else {}
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            tokens = self.model.generate(
                **heard,
                **told,
                num_beams=beam_size,
                temperature=temperature,
                return_timestamps=bool(longer) or not without_timestamps,
                condition_on_prev_tokens=condition_on_previous_text,
            )
        finally:
            torch.set_num_threads(before)
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return (Segment(text) for text in texts), None


class XVectorEncoder:
    """Speaker embeddings of a ``WavLMForXVector`` folder, such as one of microsoft/wavlm-base-plus-sv.

    Its figures are comparable with those of the same weights alone: LatentLM and VALL-E 2 use WavLM-large finetuned by
    UniSpeech, which is another model.
    """

    def __init__(self, folder: str | Path):
        require_folder(folder, "a speaker model")
        from transformers import AutoFeatureExtractor, WavLMForXVector

        self.extractor = _loaded(AutoFeatureExtractor, folder)
        self.model = _model(WavLMForXVector, folder)

    @torch.inference_mode()
    def embed(self, wav: np.ndarray, sample_rate: int) -> np.ndarray:
        """Embedding (E,) of ``wav`` (T,); zeros of less than a fifth of a second, or of no sound at all."""
        wav = audio.resample(wav, sample_rate, RATE)
        if len(wav) < RATE // 5 or not np.any(wav):
            return np.zeros(self.model.config.xvector_output_dim, dtype=np.float32)
        heard = self.extractor(wav, sampling_rate=RATE, return_tensors="pt")
        return self.model(**heard).embeddings[0].numpy()


def xvector_name(folder: str | Path) -> str:
    """What scores call the speaker model of a folder."""
    return f"WavLMForXVector {Path(folder).resolve().name}"


def is_folder(source: str | Path) -> bool:
    """Whether ``source`` holds a model as Hugging Face saves it, in safetensors."""
    return any((Path(source) / name).is_file() for name in WEIGHTS)


def require_folder(source: str | Path, what: str) -> None:
    """UserError where no model as Hugging Face saves it lies in ``source``, or transformers is not installed."""
    if not is_folder(source):
        raise UserError(
            f"{source} holds no model.safetensors; give a folder of {what} as transformers' save_pretrained leaves it"
        )
    require_transformers(source)


def require_transformers(source: str | Path) -> None:
    if find_spec("transformers") is None:
        raise UserError(f"{source} needs transformers: {INSTALL}")


def require_name(name: str) -> None:
    """UserError where the hub's model ``owner/name`` is neither in the cache nor to be reached."""
    require_transformers(name)
    from huggingface_hub import constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, "config.json"), str):
        return
    place = f"{constants.ENDPOINT}/{name}/resolve/main/config.json"
    try:
        urlopen(Request(place, method="HEAD"), timeout=10).close()  # transformers would try six times
    except OSError as error:
        raise UserError(f"{name} is no folder here, and {place} cannot be reached ({error}); give a folder") from None


def _model(kind: type, source: str | Path) -> torch.nn.Module:
    """A model with every weight of its kind read from ``source``, ready to use."""
    model, found = _loaded(kind, source, use_safetensors=True, output_loading_info=True)
    if lacking := sorted(found["missing_keys"]):
        raise UserError(f"{source}: no {kind.__name__}, its weights lack {lacking[0]}; give a folder that holds one")
    return model.eval()


def _loaded(kind: type, source: str | Path, **how: object):
    """``kind.from_pretrained(source)``; every way to fail is one line."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        return kind.from_pretrained(str(source), **how)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = " ".join(str(error).split())[:150]
        raise UserError(
            f"{source}: no {kind.__name__} can be loaded ({reason}); give a folder that holds one, with safetensors"
        ) from None
