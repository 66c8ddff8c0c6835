"""Whole recordings with their phones, in batches of about equal length."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latent_tts.data.audio_pack import AudioPack
from latent_tts.data.step_batches import StepBatches, dealt
from latent_tts.errors import UserError


class PhoneBatches(StepBatches):
    """Item ``step``: (wav (B, T), wav_lens (B,), text (B, L), text_lens (B,)), about ``batch_seconds`` in all.

    ``folder`` is an audio pack with ``phones.json`` ({utt: [ids]}) beside it. Neighbours in length share a batch;
    which batch comes at a step depends on ``seed`` and ``step`` alone. What lacks sound or phones is left out. Nothing
    left, or sound that is not at ``sample_rate``, is a UserError.
    """

    def __init__(
        self, folder: Path, batch_seconds: float, steps: int, seed: int = 0, sample_rate: int | None = None
    ):
        self.pack = AudioPack(folder, sample_rate)
        self.phones: dict[str, list[int]] = json.loads((folder / "phones.json").read_text())
        self.steps, self.seed = steps, seed
        utts = sorted((u for u in self.phones if u in self.pack.spans), key=lambda u: self.pack.spans[u][1])
        if not utts:
            raise UserError(f"{folder}: no recording has phones; make phones.json from the same data directory")
        self.batches: list[list[str]] = [[]]
        for utt in utts:
            longest = self.pack.spans[utt][1] / self.pack.sample_rate
            if self.batches[-1] and longest * (len(self.batches[-1]) + 1) > batch_seconds:
                self.batches.append([])
            self.batches[-1].append(utt)

    def share(self, step: int, rank: int, world: int) -> tuple[Tensor, ...]:
        epoch, place = divmod(step, len(self.batches))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.batches))
        utts = dealt(self.batches[order[place]], rank, world)
        wavs = [torch.from_numpy(self.pack[utt]) for utt in utts]
        texts = [torch.tensor(self.phones[utt]) for utt in utts]
        pad = torch.nn.utils.rnn.pad_sequence
        lengths = [torch.tensor([len(x) for x in items]) for items in (wavs, texts)]
        return pad(wavs, batch_first=True), lengths[0], pad(texts, batch_first=True), lengths[1]
