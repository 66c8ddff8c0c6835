"""The codecs that ``codec.py`` measures, ours and others', each behind the same few names.

The others have the sizes of their published 24 kHz models and random weights: their speed is that of the trained ones,
their sound is noise. Codebooks are drawn too, and weight norms are folded into the weights, as one would to use them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from latent_tts import TTS
from latent_tts.model_dir import load_codec
from latent_tts.nn.packed import packed
from latent_tts.nn.state import State

CODEBOOKS = 8  # of EnCodec and of Mimi


class System(Protocol):
    """A codec. ``encode`` takes (1, 1, T), T whole frames; ``decode`` takes what ``encode`` gives.

    One that streams has ``encode_stream`` and ``decode_stream`` as well: the same, frame by frame. ``note`` says what a
    reader of its figures should know, ``module`` holds all that is learned.
    """

    name: str
    weights: str  # "trained" or "random"
    sample_rate: int  # Hz
    hop_length: int  # samples a frame
    module: nn.Module
    note: str

    def encode(self, wav: Tensor) -> Any: ...

    def decode(self, frames: Any) -> Tensor: ...


class OwnCodec:
    """The codec of a model directory, as TTS runs it on a CPU: by torch with packed linear layers, or with a decoder of
    8-bit weights in ONNX Runtime."""

    weights = "trained"

    def __init__(self, folder: Path, engine: str = "torch"):
        self.module, self.codec = load_codec(folder), packed(load_codec(folder))
        self.name = f"latent_tts {Path(folder).resolve().name}"
        self.note = "streams by a passed state, frame by frame, and gives what the whole gives"
        self._decode = self.codec.decode
        if engine == "onnx":
            graphs = TTS.from_dir(folder, engine=engine, threads=torch.get_num_threads()).model
            self._decode = lambda frames, state: torch.from_numpy(graphs.decode(frames[0].numpy(), state))[None, None]
            self.name, self.note = f"{self.name}, onnx", f"{self.note}; its decoder is a graph of 8-bit weights"
        self.sample_rate, self.hop_length = self.module.sample_rate, self.module.hop_length

    def encode(self, wav: Tensor) -> Tensor:
        return self.codec.encode(wav)

    def decode(self, frames: Tensor) -> Tensor:
        return self._decode(frames, {})

    def encode_stream(self, wav: Tensor) -> Tensor:
        """As ``encode``; the silence that the last frame looks into is given at the end."""
        state, silence = State(), wav.new_zeros(1, 1, self.codec.lookahead)
        chunks = [*wav.split(self.hop_length, dim=2), *([silence] if self.codec.lookahead else [])]
        return torch.cat([self.codec.encode(chunk, state) for chunk in chunks], dim=1)

    def decode_stream(self, frames: Tensor) -> Tensor:
        state = State()
        return torch.cat([self._decode(frame, state) for frame in frames.split(1, dim=1)], dim=2)


class EnCodec:
    """EnCodec at 24 kHz and 6 kbit/s (Defossez et al. 2022), from transformers."""

    name, weights = "EnCodec-24k", "random"
    note = f"{CODEBOOKS} codebooks, 6 kbit/s; transformers offers no way to stream it"

    def __init__(self, seed: int):
        from transformers import EncodecConfig, EncodecModel

        config = EncodecConfig()
        torch.manual_seed(seed)
        self.module = _ready(EncodecModel(config))
        self.sample_rate, self.hop_length = config.sampling_rate, config.hop_length

    def encode(self, wav: Tensor) -> Tensor:
        """(1, 1, codebooks, N) codes."""
        return self.module.encode(wav, bandwidth=6.0).audio_codes

    def decode(self, frames: Tensor) -> Tensor:
        return self.module.decode(frames, [None]).audio_values


class Mimi:
    """Mimi (Defossez et al. 2024), from transformers."""

    name, weights = "Mimi", "random"
    note = (
        f"{CODEBOOKS} codebooks, 1.1 kbit/s; between two calls of decode transformers keeps what its attention saw and "
        "not what its convolutions saw, so decoding as a stream costs what a stream costs and sounds otherwise"
    )

    def __init__(self, seed: int):
        from transformers import MimiConfig, MimiModel

        config = MimiConfig()
        torch.manual_seed(seed)
        self.module = _ready(MimiModel(config))
        self.sample_rate, self.hop_length = config.sampling_rate, config.frame_size

    def encode(self, wav: Tensor) -> Tensor:
        """(1, codebooks, N) codes."""
        return self.module.encode(wav, num_quantizers=CODEBOOKS).audio_codes

    def decode(self, frames: Tensor) -> Tensor:
        return self.module.decode(frames).audio_values

    def encode_stream(self, wav: Tensor) -> Tensor:
        codes, state = [], {}
        for chunk in wav.split(self.hop_length, dim=2):
            out = self.module.encode(chunk, num_quantizers=CODEBOOKS, use_streaming=True, **state)
            state = {"encoder_past_key_values": out.encoder_past_key_values, "padding_cache": out.padding_cache}
            codes.append(out.audio_codes)
        return torch.cat(codes, dim=2)

    def decode_stream(self, frames: Tensor) -> Tensor:
        sound, seen = [], None
        for frame in frames.split(1, dim=2):
            out = self.module.decode(frame, decoder_past_key_values=seen, use_cache=True)
            seen = out.decoder_past_key_values
            sound.append(out.audio_values)
        return torch.cat(sound, dim=2)


class Vocos:
    """Vocos (Siuzdak 2023), the vocoder over mel spectra at 24 kHz, with the sizes of its published vocos-mel-24khz."""

    name, weights = "Vocos", "random"
    note = "a vocoder: its encode is the log-mel spectrum it decodes, without a bottleneck; not causal, so no stream"

    def __init__(self, seed: int):
        import vocos
        from vocos.feature_extractors import MelSpectrogramFeatures
        from vocos.heads import ISTFTHead
        from vocos.models import VocosBackbone

        self.sample_rate, self.hop_length = 24000, 256
        torch.manual_seed(seed)
        mel = MelSpectrogramFeatures(self.sample_rate, n_fft=1024, hop_length=self.hop_length, n_mels=100)
        backbone = VocosBackbone(input_channels=100, dim=512, intermediate_dim=1536, num_layers=8)
        head = ISTFTHead(dim=512, n_fft=1024, hop_length=self.hop_length, padding="center")
        self.module = vocos.Vocos(mel, backbone, head).eval()

    def encode(self, wav: Tensor) -> Tensor:
        """(1, mels, N + 1)."""
        return self.module.feature_extractor(wav[:, 0])

    def decode(self, frames: Tensor) -> Tensor:
        return self.module.decode(frames)


PEERS = {"encodec": EnCodec, "mimi": Mimi, "vocos": Vocos}


def _ready(module: nn.Module) -> nn.Module:
    """For inference: codebooks, which start as zeros, are drawn; weight norms are folded into the weights."""
    for name, buffer in module.named_buffers():
        if name.endswith((".codebook.embed", ".codebook.embed_sum")):
            buffer.normal_()
    for part in list(module.modules()):
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight")
    return module.eval()
