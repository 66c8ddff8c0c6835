"""A model that computes in torch, on any device."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from latent_tts.align.hearing import Hearing
from latent_tts.frames import Chunk, Sampling, Utterances
from latent_tts.model_dir import load_aligner, load_parts
from latent_tts.nn.packed import packed


class TorchModel:
    """A ``Model`` of the modules of ``folder``: ``codec`` and ``lm``. UserError says what is wrong with it.

    ``threads`` are set for all of torch in this process; None leaves them.
    """

    def __init__(self, folder: Path, device: str = "cpu", threads: int | None = None):
        if threads:
            torch.set_num_threads(threads)
        self.folder, self.device = folder, torch.device(device)
        self.codec, self.lm = (part.to(self.device) for part in load_parts(folder))
        if self.device.type == "cpu":
            packed(self.codec)
            packed(self.lm)
        self.sample_rate, self.hop_length = self.codec.sample_rate, self.codec.hop_length
        self.frame_rate = self.codec.frame_rate

    @torch.inference_mode()
    def encode(self, wav: np.ndarray) -> np.ndarray:
        """(T,) -> (N, D | Q)."""
        return self.codec.encode(torch.from_numpy(wav).to(self.device)[None, None])[0].cpu().numpy()

    @torch.inference_mode()
    def decode(self, frames: np.ndarray, state: dict) -> np.ndarray:
        """(N, D | Q) -> (N * hop_length,)."""
        return self.codec.decode(torch.from_numpy(frames).to(self.device)[None], state)[0, 0].float().cpu().numpy()

    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """As ``FrameLM.generate``, with arrays."""
        for chunk in self.lm.generate(prompt.to(self.device), sampling):
            yield Chunk(*(part.cpu().numpy() for part in chunk))

    @functools.cached_property
    def hearing(self) -> Hearing:
        """The aligner. UserError where the model has none."""
        return load_aligner(self.folder)[0].hearing
