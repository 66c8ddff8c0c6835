"""A non-autoregressive diffusion Transformer over frames, after Voicebox (Le et al. 2023, arXiv 2306.15687).

Of the family (Voicebox, E2 TTS, F5-TTS) it is the member that aligns text beforehand: what filler tokens leave to
attention takes far more speech to learn than recipes here have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Chunk, FrameFormat, Sampling, Utterances
from latent_tts.lm.conditioning import AlignedText, ReferenceEncoder, pointers_of
from latent_tts.lm.draws import RowDraws
from latent_tts.lm.guidance import guide_output
from latent_tts.lm.sizes import LMConfig
from latent_tts.lm.spans import (
    at_utterances,
    durations_of,
    frames_of_noise,
    frames_to_say,
    phones_to_say,
    planned,
    reference_of,
    utterance_of,
    within,
)
from latent_tts.nn.adaln import embedding_mlp, sinusoids
from latent_tts.nn.bidirectional import SteeredTransformer, sight


@dataclass(frozen=True)
class DiTLMConfig(LMConfig):
    """Sizes of a diffusion Transformer with given durations."""

    frame_dim: int = 64
    text_dim: int = 256
    max_begun: int = 7  # phones that may begin in one frame
    condition_dropout: float = 0.1  # how often text and reference are hidden, for guidance
    duration_weight: float = 0.2

    def build(self) -> DiTLM:
        return DiTLM(self)


class DiTLM(nn.Module):
    """In-filling: the reference's frames are given, the utterance's are noise that becomes speech, all at once.

    Attention is full, over reference and utterance. A frame's condition is the phones around it, as their durations
    place them, how many begin in it, and, in the reference, the clean frame. Voicebox repeats each phone over its
    frames; here most frames have more than one phone, so they see a window of them (AlignedText). Only what is to be
    filled in holds noise and is learnt. Flow matching on straight paths (Lipman et al. 2023), x_t = t x + (1 - t) e,
    velocity x - e, times logit-normal (Esser et al. 2024); time steers every block (adaLN).

    Phones' durations are given in training (``starts``). For speaking they are predicted before, as expected numbers of
    frames, from the phones, the voice as one vector and the reference's tempo where its text is known; as in Voicebox's
    regression model they are no random draw, so ``duration_temperature`` has no part.

    Guidance is classifier-free, text and reference hidden together: two passes at each of ``sampling.steps`` steps.
    """

    def __init__(self, config: DiTLMConfig = DiTLMConfig()):
        super().__init__()
        c = self.config = config
        self.text = AlignedText(c.vocabulary, c.text_dim, c.dim, dropout=c.dropout)
        self.reference = ReferenceEncoder(c.frame_dim, c.text_dim, c.dim, dropout=c.dropout)
        self.tempo = nn.Linear(1, c.dim)
        self.no_tempo = nn.Parameter(torch.zeros(c.dim))
        self.duration = nn.Sequential(nn.SiLU(), nn.Linear(c.dim, c.text_dim), nn.SiLU(), nn.Linear(c.text_dim, 1))
        self.frame = nn.Linear(c.frame_dim, c.dim)
        self.clean = nn.Linear(c.frame_dim, c.dim)
        self.begun = nn.Embedding(c.max_begun + 1, c.dim)
        self.segment = nn.Embedding(2, c.dim)  # 0 utterance, 1 reference
        self.null = nn.Parameter(torch.zeros(c.dim))
        self.time = embedding_mlp(256, c.dim)
        self.transformer = SteeredTransformer(c.dim, c.layers, c.heads, c.dropout)
        self.leave = nn.Linear(c.dim, c.frame_dim)
        for embedding in (self.begun, self.segment, self.text.embedding):
            nn.init.normal_(embedding.weight, std=0.3)
        for layer in (self.duration[-1], self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @property
    def frame_format(self) -> FrameFormat:
        return FrameFormat(self.config.frame_dim)

    def loss(self, batch: Utterances) -> dict[str, Tensor]:
        """``frame``: squared error of velocities over utterances' frames at one time a row; ``duration``: of phones'
        durations in frames, a Poisson likelihood's, whose minimum is their mean."""
        texts = self.text.encode(batch.text, batch.text_lens)
        rows, unknown, spoken = len(batch), frames_to_say(batch), phones_to_say(batch)
        t = torch.sigmoid(torch.randn(rows, device=texts.device))
        noise = torch.randn_like(batch.frames)
        noisy = torch.lerp(noise, batch.frames, t[:, None, None]) * unknown[..., None]
        dropped = torch.rand(rows, 1, 1, device=texts.device) < self.config.condition_dropout
        cond = torch.where(dropped, self.null, self.conditions(batch, texts))
        error = self.velocity(noisy, t, cond, batch.frame_lens).float() - (batch.frames - noise)
        frame = error.square().mean(dim=2)[unknown].mean()
        durations = durations_of(batch)[spoken].float()
        duration = F.poisson_nll_loss(self.log_durations(batch, texts)[spoken], durations)
        return {"loss": frame + self.config.duration_weight * duration, "frame": frame, "duration": duration}

    def conditions(self, batch: Utterances, texts: Tensor) -> Tensor:
        """(B, N, H) from utterances whose ``starts`` and ``frame_lens`` say when everything is said, and the text's
        states; what their frames hold behind the references is not looked at."""
        count = batch.frames.shape[1]
        pointers = pointers_of(batch.starts, batch.text_lens, batch.frame_lens, count + 1)
        begun = self.begun(pointers.diff(dim=1).clamp(max=self.config.max_begun))
        window = self.text.window_after(texts, pointers[:, 1:]) + begun
        heard = within(batch.prompt_lens, count)
        unread = heard & (batch.prompt_text_lens == 0)[:, None]
        window = torch.where(unread[..., None], self.text.unknown, window)
        return window + self.segment(heard.long()) + self.clean(batch.frames) * heard[..., None]

    def velocity(self, x: Tensor, t: Tensor, cond: Tensor, lens: Tensor) -> Tensor:
        """Noisy utterances, zeros in place of their references (B, N, D), at times (B,) in [0, 1], conditions
        (B, N, H), how many of the frames there are (B,) -> velocities (B, N, D)."""
        places = torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
        mask = sight(places, torch.full_like(places, x.shape[1]), within(lens, x.shape[1]))
        steering = F.silu(self.time(sinusoids(1000 * t)))
        return self.leave(self.transformer(self.frame(x) + cond, steering, places, mask))

    def log_durations(self, batch: Utterances, texts: Tensor) -> Tensor:
        """Logarithms (B, L) of how many frames each phone is expected to last."""
        voice = self.reference(reference_of(batch), batch.prompt_lens)
        known = (batch.prompt_text_lens > 0)[:, None]
        pace = (batch.prompt_lens.clamp(min=1) / batch.prompt_text_lens.clamp(min=1)).log()[:, None]
        told = voice + torch.where(known, self.tempo(pace), self.no_tempo)
        pointers = torch.arange(1, batch.text.shape[1] + 1, device=texts.device).expand(len(batch), -1)
        return self.duration(self.text.window_before(texts, pointers) + told[:, None])[..., 0].float()

    @torch.inference_mode()
    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """One chunk with all frames of every row. ``sampling.speed`` divides the durations."""
        texts = self.text.encode(prompt.text, prompt.text_lens)
        whole = planned(prompt, self.log_durations(prompt, texts).exp(), sampling.speed)
        counts = whole.frame_lens - whole.prompt_lens
        conditions, joined = guide_output(self.conditions(whole, texts), self.null, sampling.guidance)
        draws = RowDraws(sampling.seeds(len(prompt)))
        noise = frames_of_noise(draws, int(counts.max()), self.config.frame_dim).to(texts.device) * sampling.temperature

        def velocity(x: Tensor, t: float) -> Tensor:
            x, time = at_utterances(x, whole), torch.full((len(x),), t, device=x.device)
            answers = [self.velocity(x, time, cond, whole.frame_lens) for cond in conditions]
            return utterance_of(joined(torch.stack(answers)), whole)

        frames = euler(velocity, noise, sampling.steps)
        pointers = pointers_of(whole.starts, whole.text_lens, whole.frame_lens, whole.frames.shape[1] + 1)[:, 1:]
        phones = utterance_of(pointers, whole) - whole.prompt_text_lens[:, None]
        yield Chunk(frames, within(counts, frames.shape[1]), phones)

    def evaluations(self, frames: int, sampling: Sampling) -> dict[str, int]:
        """Passes for an utterance, however many ``frames`` it has; the one over durations is no step of decoding."""
        passes = sampling.steps * (1 if sampling.guidance == 1 else 2)
        return {"decoding_steps": sampling.steps, "network_evaluations": 1 + passes}


def euler(velocity: Callable[[Tensor, float], Tensor], noise: Tensor, steps: int) -> Tensor:
    """From ``noise`` at time 0 to time 1 by ``steps`` evaluations of ``velocity(x, t)`` at 1 - cos(pi / 2 * i / steps)
    (sway sampling with s = -1, F5-TTS, Chen et al. 2024)."""
    times, x = [1 - math.cos(math.pi / 2 * i / steps) for i in range(steps + 1)], noise
    for now, later in zip(times, times[1:]):
        x = x + (later - now) * velocity(x, now)
    return x
