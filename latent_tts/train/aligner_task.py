"""Training of the aligner on whole recordings and their phones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from torch import Tensor
from torch.utils.data import Dataset

from latent_tts.align.aligner import Aligner, AlignerConfig
from latent_tts.data.phone_batches import PhoneBatches
from latent_tts.text.symbols import SymbolTable
from latent_tts.train.optim import MuonConfig, averaged, descend, optimizer_of, seed_step, warmup_cosine


@dataclass(frozen=True)
class AlignerTraining:
    """Budget of the aligner's training."""

    steps: int = 1900
    batch_seconds: float = 100.0
    lr: float = 1.5e-3
    muon: MuonConfig | None = None
    warmup: int = 100
    ema: float = 0.995
    clip: float = 1.0
    seed: int = 0


class AlignerTask(lightning.LightningModule):
    """An aligner and its averaged weights. Batches are (wav, wav_lens, text, text_lens)."""

    network = "aligner"  # the part of a model directory that learns

    def __init__(self, aligner: AlignerConfig = AlignerConfig(), training: AlignerTraining = AlignerTraining()):
        super().__init__()
        self.automatic_optimization = False
        self.training_config = training
        self.aligner = Aligner(SymbolTable.english().symbols, aligner, SymbolTable.SEPARATORS)
        self.average = averaged(self.aligner, training.ema)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def datasets(self, folder: Path) -> tuple[Dataset, Dataset]:
        """Training and validation batches from ``folder/{train,valid}``: audio packs with ``phones`` beside them."""
        t, rate = self.training_config, self.aligner.config.sample_rate
        return (
            PhoneBatches(folder / "train", t.batch_seconds, t.steps, t.seed, rate),
            PhoneBatches(folder / "valid", t.batch_seconds, 4, 1, rate),
        )

    def configure_optimizers(self):
        t = self.training_config
        optimizer = optimizer_of(self.aligner, t.lr, (0.9, 0.98), 0.05, t.muon)
        return [optimizer], [warmup_cosine(optimizer, t.warmup, t.steps)]

    def heard(self, batch: tuple[Tensor, ...]) -> tuple[str, float]:
        """What the pace of training is told in, and how much of it a batch holds."""
        return "sound", float(batch[1].sum()) / self.aligner.config.sample_rate

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        seed_step(self, self.training_config.seed)
        loss = self.aligner.loss(*batch)
        descend(self, "aligner", self.aligner, loss, self.training_config.clip)
        self.average.update_parameters(self.aligner)
        self.step += 1
        self.log("aligner/loss", loss.detach(), prog_bar=True)

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        loss = self.average.module.loss(*batch)
        self.log("valid/loss", loss, prog_bar=True, batch_size=len(batch[0]), sync_dist=True)
