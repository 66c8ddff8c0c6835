"""Training of a language model of frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from torch import Tensor
from torch.utils.data import Dataset

from latent_tts.data.cloning import CloningBatches, CloningConfig
from latent_tts.data.shar import folders_of
from latent_tts.data.shar_batches import SharBatches
from latent_tts.errors import UserError
from latent_tts.frames import Utterances
from latent_tts.lm.aligned import AlignedLMConfig
from latent_tts.lm.sizes import LMConfig
from latent_tts.model_dir import check_taught
from latent_tts.train.optim import MuonConfig, averaged, descend, optimizer_of, seed_step, warmup_cosine
from latent_tts.train.sharding import shard


@dataclass(frozen=True)
class LMTraining:
    """Budget of a language model's training."""

    steps: int = 6000
    batch_frames: int = 2000
    lr: float = 8e-4
    muon: MuonConfig | None = None  # not with fsdp
    warmup: int = 300
    weight_decay: float = 0.05
    ema: float = 0.998
    clip: float = 1.0
    seed: int = 0


class LMTask(lightning.LightningModule):
    """A language model and its averaged weights. Batches are Utterances."""

    part = "lm"  # what messages and the dashboard call it
    network = "lm"  # the part of a model directory that learns

    def __init__(
        self,
        lm: LMConfig = AlignedLMConfig(),
        training: LMTraining = LMTraining(),
        cloning: CloningConfig = CloningConfig(),
    ):
        super().__init__()
        self.automatic_optimization = False
        self.training_config, self.cloning = training, cloning
        self.lm = lm.build()
        self.average = averaged(self.lm, training.ema)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def datasets(self, folder: Path) -> tuple[Dataset, Dataset]:
        """Training and validation batches from ``folder/{train,valid}``, both frame packs; the former may be shards.
        UserError where those hold other frames than the language model speaks."""
        t = self.training_config
        batches = SharBatches if folders_of(folder / "train") else CloningBatches
        train = batches(folder / "train", t.batch_frames, t.steps, t.seed, self.cloning)
        valid = CloningBatches(folder / "valid", t.batch_frames, 8, 1, self.cloning)
        for pack in (train.pack, valid.pack):
            check_taught(pack.folder, pack.frame_format, self.lm)
        return train, valid

    def configure_model(self) -> None:
        """Spread both networks over the processes where FSDP asks for it. UserError for ``own_history`` then: processes
        that say utterances of other lengths would wait for one another for ever. And for ``muon``, which wants whole
        matrices."""
        if self.device_mesh is not None:
            if self.training_config.muon:
                raise UserError("muon cannot be used with fsdp; leave it out, or give --fit.strategy ddp")
            if getattr(self.lm.config, "own_history", 0):
                raise UserError("own_history cannot be learnt with fsdp; leave it at 0, or give --fit.strategy ddp")
            for network in (self.lm, self.average.module):
                shard(network, self.device_mesh["data_parallel"])

    def configure_optimizers(self):
        t = self.training_config
        optimizer = optimizer_of(self.lm, t.lr, (0.9, 0.98), t.weight_decay, t.muon)
        return [optimizer], [warmup_cosine(optimizer, t.warmup, t.steps)]

    def transfer_batch_to_device(self, batch: Utterances, device: torch.device, dataloader_idx: int) -> Utterances:
        return batch.to(device)

    def heard(self, batch: Utterances) -> tuple[str, float]:
        """What the pace of training is told in, and how much of it a batch holds."""
        return "frames", float(batch.frame_lens.sum())

    def training_step(self, batch: Utterances, batch_idx: int) -> None:
        t = self.training_config
        seed_step(self, t.seed)
        terms = self.terms(batch)
        norm = descend(self, self.part, self.lm, terms["loss"], t.clip)
        self.average.update_parameters(self.lm)
        self.step += 1
        self.log_dict({f"{self.part}/{name}": value.detach() for name, value in terms.items()}, prog_bar=True)
        self.log(f"{self.part}/gradient", norm)

    def terms(self, batch: Utterances) -> dict[str, Tensor]:
        """Named scalars; "loss" is what a step goes down."""
        return self.lm.loss(batch)

    def validation_step(self, batch: Utterances, batch_idx: int) -> None:
        torch.manual_seed(batch_idx)
        terms = self.average.module.loss(batch)
        named = {f"valid/{name}": value for name, value in terms.items()}
        self.log_dict(named, prog_bar=True, batch_size=len(batch), sync_dist=True)
