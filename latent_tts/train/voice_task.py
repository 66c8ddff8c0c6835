"""Training of a language model that also hears whether what it says has the voice of its reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from latent_tts.data.cloning import CloningConfig
from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.aligned import AlignedLMConfig
from latent_tts.lm.latent_lm import LatentLM, LatentLMConfig, frames_learnt
from latent_tts.lm.spans import frames_to_say, reference_of
from latent_tts.model_dir import check_frames, load_codec
from latent_tts.speaker import SpeakerEmbedding
from latent_tts.train.lm_task import LMTask, LMTraining

SHORTEST = 20  # frames of a reference and of an utterance: less does not tell a voice


@dataclass(frozen=True)
class VoiceTraining(LMTraining):
    """Budget of such a training. The total is the language model's loss + ``voice_weight`` * (1 - cosine)."""

    steps: int = 600
    lr: float = 1e-4
    warmup: int = 50
    ema: float = 0.99
    voice_weight: float = 1.0
    voice_rows: int = 8  # of a batch that are listened to, at most


class VoiceTask(LMTask):
    """A language model under a speaker consistency loss (YourTTS, Casanova et al. 2022) beside its own.

    Frames are drawn as in speaking, by the whole solver, each behind what the model hears before it, which should often
    be itself (``own_history``): there it loses the voice. The codec makes sound of them, and how near the embedding of
    that is to the reference's is what it learns from: from the sound through the codec, the solver and the Transformer.
    The codec, of the model directory ``codec``, and the speaker's encoder do not learn. UserError where its frames are
    others than the language model's, or its sound is at another rate than the encoder hears.
    """

    part = "voice"

    def __init__(
        self,
        codec: Path,
        lm: LatentLMConfig = AlignedLMConfig(),
        training: VoiceTraining = VoiceTraining(),
        cloning: CloningConfig = CloningConfig(),
    ):
        super().__init__(lm, training, cloning)
        self.codec = load_codec(Path(codec)).requires_grad_(False)
        check_frames(Path(codec), self.codec, self.lm)
        self.speaker = SpeakerEmbedding(self.codec.sample_rate)

    def terms(self, batch: Utterances) -> dict[str, Tensor]:
        learnt = self.lm.learnt(batch)
        terms = self.lm.losses(*learnt)
        unlike = self.unlike(self.lm, batch, learnt[1])
        if unlike is None:
            return terms
        return terms | {"unlike": unlike, "loss": terms["loss"] + self.training_config.voice_weight * unlike}

    def validation_step(self, batch: Utterances, batch_idx: int) -> None:
        """Also ``valid/unlike``, behind what the model says itself."""
        super().validation_step(batch, batch_idx)
        lm = self.average.module
        unlike = self.unlike(lm, batch, lm.learnt_behind(lm.retold(batch, Sampling()), batch)[1])
        if unlike is not None:
            self.log("valid/unlike", unlike, prog_bar=True, batch_size=len(batch))  # a process's own: not all have some

    def unlike(self, lm: LatentLM, batch: Utterances, cond: Tensor) -> Tensor | None:
        """1 - cosine of references and of what is drawn under ``cond``, as ``LatentLM.learnt`` gives it: a mean over
        rows of which both are long enough; None where there are none."""
        said, counts = frames_to_say(batch), batch.frame_lens - batch.prompt_lens
        long = ((batch.prompt_lens >= SHORTEST) & (counts >= SHORTEST)).nonzero()[:, 0]
        rows = long[: self.training_config.voice_rows]
        if not len(rows):
            return None
        cond = cond[said[frames_learnt(batch, said.shape[1])]]
        noise = torch.randn(len(cond), lm.head.noise_dim, device=cond.device)
        heard = torch.isin(said.nonzero()[:, 0], rows)
        drawn = lm.head.sample(cond[heard], lm.null, Sampling(), noise[heard]).float()
        voices = self.voices(pad_sequence(drawn.split(counts[rows].tolist()), batch_first=True), counts[rows])
        with torch.no_grad():
            wanted = self.voices(reference_of(batch)[rows], batch.prompt_lens[rows])
        return 1 - (voices * wanted).sum(dim=1).mean()

    def voices(self, frames: Tensor, counts: Tensor) -> Tensor:
        """Frames (B, n, D) of which ``counts`` (B,) are meant -> embeddings (B, 256)."""
        sound = self.codec.decode(frames)[:, 0]
        return self.speaker(sound, (counts * self.codec.hop_length).tolist())
