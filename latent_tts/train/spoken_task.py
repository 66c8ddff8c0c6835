"""Training of a codec's decoder that also learns from frames that a language model has spoken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from latent_tts.codec.bottleneck import SigmaVAEConfig
from latent_tts.codec.sizes import CodecConfig
from latent_tts.data.frame_crops import FrameCrops
from latent_tts.data.frame_pack import FramePack
from latent_tts.errors import UserError
from latent_tts.train.codec_task import CodecTask, CodecTraining


@dataclass(frozen=True)
class SpokenTraining(CodecTraining):
    """Budget of such a training: an encoder that does not learn, and discriminators from the first step."""

    steps: int = 3000
    lr: float = 2e-4
    warmup: int = 100
    adversarial_from: int = 0
    encoder_until: int = 0
    adversarial_weight: float = 2.0  # of reconstructions and spoken frames together
    spoken_rows: int = 8  # of spoken frames, beside adversarial_batch_size recordings


class SpokenTask(CodecTask):
    """A codec whose decoder is to sound natural on what a language model says, not only on what its encoder does.

    A language model's frames are smoother than recordings', and no decoder has heard such in training: so vocoders
    learn from what their acoustic model predicts (Tacotron 2, Shen et al. 2018). Here it speaks freely, and no
    recording belongs to what it says; discriminators alone judge that, against recordings. Those are best of the same
    readers, or it is told apart by who speaks. Reconstructions go on beside it and keep the decoder to its frames.

    ``spoken`` is a frame pack of such speech (recipes/speak_frames.py). UserError where the frames are not this
    codec's, or the encoder is to learn, which would change what they mean.
    """

    def __init__(
        self, spoken: Path, codec: CodecConfig = SigmaVAEConfig(), training: SpokenTraining = SpokenTraining()
    ):
        super().__init__(codec, training)
        if training.encoder_until or training.adversarial_from or training.recorded:
            raise UserError(
                "spoken frames stay what they are and are only judged: want encoder_until 0, adversarial_from 0 and "
                "recorded false"
            )
        self.spoken = spoken

    def datasets(self, folder: Path) -> tuple[Dataset, Dataset]:
        """As a codec's. Spoken frames come beside them."""
        t, pack = self.training_config, FramePack(self.spoken)
        if pack.frame_format != self.codec.frame_format:
            raise UserError(
                f"{self.spoken} holds frames of {pack.frame_format}, the codec's are of {self.codec.frame_format}; "
                "give what a language model of this codec has spoken"
            )
        count = self._samples(t.adversarial_crop_seconds) // self.codec.hop_length
        self.frames = FrameCrops(pack, t.spoken_rows, count, t.steps, t.seed)
        return super().datasets(folder)

    def _judge(self, wav: Tensor, adversarial: bool) -> dict[str, Tensor]:
        frames = self.frames.share(int(self.step), self.global_rank, self.trainer.world_size)
        self.said = self.codec.decode(torch.from_numpy(frames).to(wav.device))[:, 0]
        return super()._judge(wav, adversarial)

    def sounds(self) -> Tensor:
        return torch.cat([super().sounds(), self.said])
