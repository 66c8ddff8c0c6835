"""Training of the codec: reconstruction first, then with discriminators; encoder and bottleneck may stop early."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import cached
from torch.utils.data import Dataset

from latent_tts.codec.autoencoder import Codec
from latent_tts.codec.bottleneck import SigmaVAEConfig
from latent_tts.codec.discriminators import (
    Discriminators,
    LowBandConfig,
    MagnitudeDiscriminator,
    PeriodDiscriminator,
    SpectrumDiscriminator,
)
from latent_tts.codec.intelligibility import IntelligibilityLoss
from latent_tts.codec.losses import (
    MultiScaleSpectralLoss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from latent_tts.codec.loudness import LoudnessLoss
from latent_tts.codec.sizes import CodecConfig
from latent_tts.data.audio_pack import AudioPack, CropBatches
from latent_tts.data.step_batches import Consecutive
from latent_tts.errors import UserError
from latent_tts.train.optim import MuonConfig, averaged, move, optimizer_of, seed_step, slope, warmup_cosine
from latent_tts.train.recorded import Recording


@dataclass(frozen=True)
class CodecTraining:
    """Budget and weights. The total is ``mel * mel_weight + stft * stft_weight + loudness * loudness_weight +
    intelligibility * intelligibility_weight + the bottleneck's penalty + adversarial``. Loudness and intelligibility
    are not asked where they have no weight."""

    steps: int = 20000
    batch_size: int = 12
    crop_seconds: float = 1.28
    lr: float = 6e-4
    muon: MuonConfig | None = None  # of the codec; discriminators learn by AdamW
    warmup: int = 200
    discriminator_lr: float = 3e-4
    adversarial_from: int = 4000  # the step from which discriminators take part
    adversarial_batch_size: int = 8  # smaller batches from there on: discriminators cost more than the codec
    adversarial_crop_seconds: float = 0.64
    encoder_until: int = 4000  # the step at which encoder and bottleneck freeze: frames stay valid from there on
    mel_weight: float = 15.0
    stft_weight: float = 50.0
    loudness_weight: float = 0.0
    intelligibility_weight: float = 0.0  # wants crops of half a second
    adversarial_weight: float = 1.0
    feature_weight: float = 2.0
    discriminator_channels: int = 16
    discriminator_periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples
    discriminator_windows: tuple[int, ...] = (512, 1024, 2048)  # samples
    discriminator_magnitudes: tuple[int, ...] = ()  # windows of those that hear no phase, samples
    discriminators_asked: int | None = None  # how many, drawn anew for each step, judge it and learn; None: all
    low_band: LowBandConfig | None = None  # more of them, of a low band alone, asked at every step
    ema: float = 0.999
    clip: float = 5.0
    seed: int = 0
    recorded: bool = False  # a GPU that is alone replays steps as CUDA graphs; for frames of floats; not tried yet

    @property
    def judged_by(self) -> dict:
        """What tells discriminators apart; no shape of weights has a window or a period in it."""
        return {
            "periods": self.discriminator_periods,
            "windows": self.discriminator_windows,
            "magnitudes": self.discriminator_magnitudes,
            "low_band": self.low_band and asdict(self.low_band),
        }

    def discriminators(self, sample_rate: int) -> tuple[list[nn.Module], list[nn.Module]]:
        """New ones of the whole band, then of the low one."""
        channels = self.discriminator_channels
        wide: list[nn.Module] = [PeriodDiscriminator(p, channels) for p in self.discriminator_periods]
        wide += [SpectrumDiscriminator(w, channels) for w in self.discriminator_windows]
        wide += [MagnitudeDiscriminator(w, channels) for w in self.discriminator_magnitudes]
        return wide, self.low_band.build(sample_rate, channels) if self.low_band else []


class CodecTask(lightning.LightningModule):
    """A codec, its discriminators and its losses. Batches are (B, 1, T) crops."""

    network = "codec"  # the part of a model directory that learns

    def __init__(self, codec: CodecConfig = SigmaVAEConfig(), training: CodecTraining = CodecTraining()):
        super().__init__()
        self.automatic_optimization = False
        t = self.training_config = training
        self.codec = Codec(codec)
        wide, low = t.discriminators(codec.sample_rate)
        self.discriminators, self.wide = Discriminators(wide + low), len(wide)
        self.spectral = MultiScaleSpectralLoss(codec.sample_rate)
        self.loudness, self.intelligibility = LoudnessLoss(codec.sample_rate), IntelligibilityLoss(codec.sample_rate)
        self.average = averaged(self.codec, t.ema)
        self.crops: list[CropBatches] = []
        self.made: tuple[Tensor, Tensor, dict[str, Tensor]] | None = None  # of this step, by Codec.reconstruct
        self.recording: tuple[tuple, Recording] | None = None  # of which kind of step, and the steps
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def datasets(self, folder: Path) -> tuple[Dataset, Dataset]:
        """Training and validation batches from ``folder/train`` and ``folder/valid``, both audio packs."""
        t = self.training_config
        train, valid = (AudioPack(folder / split, self.codec.sample_rate) for split in ("train", "valid"))
        alone = min(t.adversarial_from, t.steps)
        self.crops = [
            CropBatches(train, t.batch_size, self._samples(t.crop_seconds), alone, t.seed),
            CropBatches(
                train, t.adversarial_batch_size, self._samples(t.adversarial_crop_seconds), t.steps - alone, t.seed
            ),
        ]
        return Consecutive(self.crops), CropBatches(valid, 4, self._samples(2 * t.crop_seconds), 4, seed=1)

    def begin_with_judges(self, exp: Path) -> None:
        """Take the discriminators of the last checkpoint of a training run, ``exp``: young ones have first to learn
        what the older know. UserError where it has others."""
        path, prefix = exp / "checkpoints" / "last.ckpt", "discriminators."
        if not path.exists():
            raise UserError(f"{exp} holds no checkpoint; give the folder of a codec's training run as judges")
        saved = torch.load(path, map_location="cpu", weights_only=True)
        own = {k.removeprefix(prefix): value for k, value in saved["state_dict"].items() if k.startswith(prefix)}
        known = self.training_config.judged_by
        shapes, wanted = ({k: v.shape for k, v in d.items()} for d in (own, self.discriminators.state_dict()))
        if saved.get("judged_by", known) != known or shapes != wanted:
            raise UserError(f"{exp} was trained with other discriminators; say here what is set in its config.yaml")
        self.discriminators.load_state_dict(own)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["judged_by"] = self.training_config.judged_by

    @property
    def shortest_crop(self) -> float:
        """Of those that are used, seconds."""
        t = self.training_config
        alone, judged = t.adversarial_from > 0, t.adversarial_from < t.steps
        return min([t.crop_seconds] * alone + [t.adversarial_crop_seconds] * judged)

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.codec.frame_rate) * self.codec.hop_length

    def configure_optimizers(self):
        t = self.training_config
        generator = optimizer_of(self.codec, t.lr, (0.8, 0.99), 0.01, t.muon)
        judge = optimizer_of(self.discriminators, t.discriminator_lr, (0.8, 0.99), 0.01)
        schedule = warmup_cosine(generator, t.warmup, t.steps)
        judge_schedule = warmup_cosine(judge, t.warmup, t.steps)
        return [generator, judge], [schedule, judge_schedule]

    def heard(self, wav: Tensor) -> tuple[str, float]:
        """What the pace of training is told in, and how much of it a batch holds."""
        return "sound", wav.numel() / self.codec.sample_rate

    def on_fit_start(self) -> None:
        """All batches are of one shape, so a GPU may look for its fastest convolutions. UserError where ``recorded`` is
        asked for and steps differ: codes that are dead are looked up from one to the next, discriminators drawn, silent
        frames cut out; where no discriminator is asked; and where crops are too short to tell what is understood."""
        t = self.training_config
        if t.discriminators_asked is not None and t.discriminators_asked < 1:
            raise UserError(f"discriminators_asked {t.discriminators_asked}: want a number from 1 on, or null for all")
        if t.intelligibility_weight and self._samples(self.shortest_crop) < self.intelligibility.shortest:
            raise UserError(f"crops of {self.shortest_crop} s: an intelligibility_weight wants 0.5 s or more")
        drawn = t.discriminators_asked is not None
        if t.recorded and (self.codec.frame_format.entries or drawn or t.intelligibility_weight):
            raise UserError(
                "steps of a codec of codes, by discriminators_asked or with an intelligibility_weight cannot be "
                "recorded; leave recorded at false"
            )
        torch.backends.cudnn.benchmark = self.device.type == "cuda"

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        step = int(self.step)
        seed_step(self, self.training_config.seed)
        if step == self.training_config.encoder_until:
            self.freeze_encoder(batch)
        learns = step < self.training_config.encoder_until
        self.codec.encoder.requires_grad_(learns)
        self.codec.bottleneck.train(learns)

    @property
    def asked(self) -> list[int] | None:
        """The discriminators of this step, the same in every process, those of a low band among them; None for all."""
        t = self.training_config
        if t.discriminators_asked is None:
            return None
        count = min(t.discriminators_asked, self.wide)
        drawn = random.Random(f"{t.seed}, {int(self.step)}").sample(range(self.wide), count)
        return drawn + list(range(self.wide, len(self.discriminators)))

    @torch.no_grad()
    def freeze_encoder(self, wav: Tensor) -> None:
        """Take the averaged encoder for good."""
        self.codec.encoder.load_state_dict(self.average.module.encoder.state_dict())

    def training_step(self, wav: Tensor, batch_idx: int) -> None:
        t, adversarial = self.training_config, int(self.step) >= self.training_config.adversarial_from
        terms = self._stage(0, wav, adversarial)
        if adversarial:
            move(self, "codec", self.discriminators, terms["discriminator"], t.clip, index=1)
        terms |= self._stage(1, wav, adversarial)
        move(self, "codec", self.codec, terms.pop("total"), t.clip)
        self.average.update_parameters(self.codec)
        self.step += 1
        self.log_dict({f"codec/{name}": value for name, value in terms.items()}, prog_bar=True)
        self.log("codec/silent_places", float(sum(crops.skipped for crops in self.crops)))

    def _stage(self, number: int, wav: Tensor, adversarial: bool) -> dict[str, Tensor]:
        """A stage of a step: how the discriminators do, then how the codec does. Recorded where that is wanted."""
        stages = [partial(self._judge, adversarial=adversarial), partial(self._reconstruct, adversarial=adversarial)]
        if not (self.training_config.recorded and wav.is_cuda and self.trainer.world_size == 1):
            return stages[number](wav)
        kind = (wav.shape, adversarial, self.codec.bottleneck.training)
        if self.recording is None or self.recording[0] != kind:
            self.recording = None  # its memory is free before the next takes as much
            self.recording = kind, Recording(stages, wav)
            seed_step(self, self.training_config.seed)  # recording has drawn as well
        return self.recording[1](number, wav)

    def _judge(self, wav: Tensor, adversarial: bool) -> dict[str, Tensor]:
        """Make a reconstruction, and bring the discriminators' gradients where they take part."""
        self.made = self.codec.reconstruct(wav)
        if not adversarial:
            return {}
        fake = self.sounds().detach()
        with cached():
            real = self.discriminators(wav[:, 0, : fake.shape[-1]], self.asked)
            loss = discriminator_loss(real, self.discriminators(fake, self.asked))
        slope(self, loss, index=1)
        return {"discriminator": loss.detach()}

    def _reconstruct(self, wav: Tensor, adversarial: bool) -> dict[str, Tensor]:
        """Bring the codec's gradients for the reconstruction that ``_judge`` made."""
        t, (output, penalty, log) = self.training_config, self.made
        fake, real = output[:, 0], wav[:, 0, : output.shape[-1]]
        terms = self.spectral(fake, real)
        total = t.mel_weight * terms["mel"] + t.stft_weight * terms["stft"] + penalty
        if t.loudness_weight:
            terms["loudness"] = self.loudness(fake, real)
            total = total + t.loudness_weight * terms["loudness"]
        if t.intelligibility_weight:
            terms["intelligibility"] = self.intelligibility(fake, real)
            total = total + t.intelligibility_weight * terms["intelligibility"]
        if adversarial:
            terms |= self._judged(real)
            total = total + t.adversarial_weight * terms["adversarial"] + t.feature_weight * terms["feature"]
        slope(self, total)
        self.made = None
        return {name: value.detach() for name, value in {**terms, **log, "total": total}.items()}

    def sounds(self) -> Tensor:
        """What discriminators hear of the codec in this step, (B or more, T): reconstructions come first."""
        return self.made[0][:, 0]

    def _judged(self, real: Tensor) -> dict[str, Tensor]:
        """What they think of these, and how far features of reconstructions are from those of ``real`` (B, T)."""
        self.discriminators.requires_grad_(False)
        with cached():  # both look through the same weights
            judged, wanted = (self.discriminators(sound, self.asked) for sound in (self.sounds(), real))
        self.discriminators.requires_grad_(True)
        paired = [[feature[: len(real)] for feature in features] for features in judged]
        return {"adversarial": generator_loss(judged), "feature": feature_matching_loss(wanted, paired)}

    def validation_step(self, wav: Tensor, batch_idx: int) -> None:
        codec = self.average.module
        output = codec.decode(codec.encode(wav))
        sounds = output[:, 0].float(), wav[..., : output.shape[-1]][:, 0]
        terms = self.spectral(*sounds)
        terms |= {"loudness": self.loudness(*sounds), "intelligibility": self.intelligibility(*sounds)}
        self.log_dict({f"valid/{k}": v for k, v in terms.items()}, prog_bar=True, sync_dist=True)
        if batch_idx == 0:
            self.show(wav[0, 0], output[0, 0])

    def show(self, wav: Tensor, output: Tensor) -> None:
        """A pair of sounds and of log spectra on the dashboard."""
        if self.logger is None:
            return
        board, rate = self.logger.experiment, self.codec.sample_rate
        for name, sound in (("original", wav), ("reconstruction", output.float())):
            board.add_audio(name, sound.clamp(-1, 1), int(self.step), rate)
            spectrum = torch.stft(
                sound, 1024, 256, window=torch.hann_window(1024, device=sound.device), return_complex=True
            )
            picture = F.relu(1 + spectrum.abs().clamp(min=1e-5).log10() / 4).flip(0).clamp(max=1)
            board.add_image(f"spectrum/{name}", picture[None], int(self.step))
