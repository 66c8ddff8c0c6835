"""Transfusion (Zhou et al. 2024, arXiv 2408.11039) as LatentLM is compared with it: all frames denoised together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Chunk, FrameFormat, Sampling, Utterances
from latent_tts.lm.draws import RowDraws
from latent_tts.lm.pointer import PointerWalk
from latent_tts.lm.sizes import LMConfig
from latent_tts.lm.spans import frames_of_noise, phones_to_say, reference_of, utterance_of, within
from latent_tts.nn.adaln import embedding_mlp, sinusoids
from latent_tts.nn.bidirectional import MaskedTransformer, sight
from latent_tts.nn.diffusion import CosineSchedule, dpm_solver, solver_times
from latent_tts.nn.state import State


@dataclass(frozen=True)
class TransfusionLMConfig(LMConfig):
    """Sizes of a language model that denoises utterances whole."""

    frame_dim: int = 64
    condition_dropout: float = 0.1  # how often an utterance is learnt without what is before it, for guidance
    length_weight: float = 0.2

    def build(self) -> TransfusionLM:
        return TransfusionLM(self)


class Prefix(NamedTuple):
    """What stands before an utterance, read once for all steps of the solver."""

    past: State | None  # its keys and values; None where there is nothing
    places: Tensor  # (B, M)
    visible: Tensor  # (B, M) bool, False at padding
    end: Tensor  # (B,) the place of the utterance's first frame

    def forgotten(self) -> Prefix:
        """None of it: the condition that guidance leads away from."""
        return Prefix(None, self.places[:, :0], self.visible[:, :0], self.end)


class TransfusionLM(nn.Module):
    """One sequence: text of the reference where it is known, text of the utterance, frames of the reference, a mark,
    and the utterance's frames.

    Up to the mark attention is causal. The frames behind it are one block: they see all before them and each other, and
    are denoised together. The whole Transformer, which has no head, runs at every step of the solver and predicts v at
    each frame of the block from the noisy frame plus an embedding of the time; keys and values of what is before it
    stay. Noise, times and solver are those of LatentLM's diffusion head. There is no loss on text, which is given.

    A block's length must be known beforehand. It is what each phone of the utterance asks for, read off its state,
    summed and multiplied by a tempo read off the mark, which has seen text and reference; it is learnt from utterances'
    lengths by squared error of logarithms. ``starts`` are not used.

    Guidance is classifier-free: with the prefix and without it, two passes a step.
    """

    def __init__(self, config: TransfusionLMConfig = TransfusionLMConfig()):
        super().__init__()
        c = self.config = config
        self.text = nn.Embedding(c.vocabulary, c.dim)
        self.frame = nn.Linear(c.frame_dim, c.dim)
        self.segment = nn.Embedding(4, c.dim)  # frames of 0 utterance, 1 reference; text of 2 and 3
        self.mark = nn.Parameter(torch.zeros(c.dim))
        self.time = embedding_mlp(256, c.dim)
        self.transformer = MaskedTransformer(c.dim, c.layers, c.heads, c.dropout)
        self.share = nn.Linear(c.dim, 1)
        self.tempo = nn.Linear(c.dim, 1)
        self.leave = nn.Linear(c.dim, c.frame_dim)
        self.schedule = CosineSchedule()
        for embedding in (self.text, self.segment):
            nn.init.normal_(embedding.weight, std=0.3)
        for layer in (self.share, self.tempo, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @property
    def frame_format(self) -> FrameFormat:
        return FrameFormat(self.config.frame_dim)

    def loss(self, batch: Utterances) -> dict[str, Tensor]:
        """``frame``: squared error of v over utterances' frames at one uniform time a row; ``length``: squared error
        of the logarithm of utterances' lengths."""
        prefix, lengths = self.read(batch)
        frames, counts = utterance_of(batch.frames, batch), batch.frame_lens - batch.prompt_lens
        t = torch.randint(self.schedule.steps, (len(frames),), device=frames.device)
        clean, times = frames.flatten(0, 1), t.repeat_interleave(frames.shape[1])
        noisy, wanted = (x.view_as(frames) for x in self.schedule.diffuse(clean, torch.randn_like(clean), times))
        dropped = torch.rand(len(frames), 1, device=frames.device) < self.config.condition_dropout
        velocity = self.velocity(noisy, t, counts, prefix._replace(visible=prefix.visible & ~dropped))
        frame = (velocity.float() - wanted).square().mean(dim=2)[within(counts, frames.shape[1])].mean()
        length = (lengths.log() - counts.log()).square().mean()
        return {"loss": frame + self.config.length_weight * length, "frame": frame, "length": length}

    def read(self, batch: Utterances) -> tuple[Prefix, Tensor]:
        """What is before the utterances, and how many frames they should have: (B,) float."""
        inputs, places, visible = self._before(batch)
        past, count = State(), batch.text.shape[1]
        states = self.transformer(inputs, places, sight(places, places, visible), past)
        shares = F.softplus(self.share(states[:, :count])[..., 0].float() + 0.54)  # 1 at first
        lengths = (shares * phones_to_say(batch)).sum(dim=1) * self.tempo(states[:, count])[:, 0].float().exp()
        return Prefix(past, places, visible, batch.text_lens + batch.prompt_lens + 1), lengths

    def _before(self, batch: Utterances) -> tuple[Tensor, Tensor, Tensor]:
        """Text, mark, frames of the reference: inputs (B, L + 1 + P, H), places and whether there is something, each
        (B, L + 1 + P). In the order of their places the mark comes last; padding lies between them, unseen."""
        reference, lens = reference_of(batch), batch.text_lens[:, None]
        count, heard = batch.text.shape[1], within(batch.prompt_text_lens, batch.text.shape[1])
        text = self.text(batch.text) + self.segment(2 + heard.long())
        frames = self.frame(reference) + self.segment.weight[1]
        steps = torch.arange(max(count, reference.shape[1]), device=text.device).expand(len(batch), -1)
        mark = lens + batch.prompt_lens[:, None]
        places = torch.cat([steps[:, :count], mark, lens + steps[:, : reference.shape[1]]], dim=1)
        seen = [within(batch.text_lens, count), mark >= 0, within(batch.prompt_lens, reference.shape[1])]
        return torch.cat([text, self.mark.expand(len(batch), 1, -1), frames], dim=1), places, torch.cat(seen, dim=1)

    def velocity(self, x: Tensor, t: Tensor, counts: Tensor, prefix: Prefix) -> Tensor:
        """Noisy utterances (B, N, D) of ``counts`` (B,) frames at times (B,) or (1,) -> v (B, N, D)."""
        inputs = self.frame(x) + self.segment.weight[0] + self.time(sinusoids(t))[:, None]
        own = prefix.end[:, None] + torch.arange(x.shape[1], device=x.device)
        places, visible = torch.cat([prefix.places, own], 1), torch.cat([prefix.visible, within(counts, x.shape[1])], 1)
        mask = sight(places, own[:, -1:].expand_as(own), visible)
        return self.leave(self.transformer(inputs, own, mask, prefix.past))

    @torch.inference_mode()
    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """One chunk with all frames of every row. ``sampling.speed`` divides the predicted length, which is no
        longer than a pointer could stay on the phones."""
        prefix, lengths = self.read(prompt)
        lengths = lengths.minimum(PointerWalk.longest * (prompt.text_lens - prompt.prompt_text_lens))
        counts = (lengths / sampling.speed).round().long().clamp(min=1)
        draws = RowDraws(sampling.seeds(len(prompt)))
        noise = frames_of_noise(draws, int(counts.max()), self.config.frame_dim).to(lengths.device)

        def velocity(x: Tensor, t: int) -> Tensor:
            time = torch.tensor([t], device=x.device)
            seen = self.velocity(x, time, counts, prefix)
            if sampling.guidance == 1:
                return seen
            return self.velocity(x, time, counts, prefix.forgotten()).lerp(seen, sampling.guidance)

        frames = dpm_solver(self.schedule, velocity, noise * sampling.temperature, sampling.steps)
        alive = within(counts, frames.shape[1])
        yield Chunk(frames, alive, torch.full_like(alive, -1, dtype=torch.int64))

    def evaluations(self, frames: int, sampling: Sampling) -> dict[str, int]:
        """Passes for an utterance, however many ``frames`` it has: one over the prefix, then those of the solver."""
        steps = len(solver_times(self.schedule, sampling.steps))
        return {
            "decoding_steps": 1 + steps,
            "network_evaluations": 1 + steps * (1 if sampling.guidance == 1 else 2),
        }
