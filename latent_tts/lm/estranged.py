"""Utterances as somebody else might have said them, for a language model that is to take a voice from its reference."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from latent_tts.frames import Utterances
from latent_tts.lm.spans import frames_to_say


def estranged(batch: Utterances, most: float) -> Utterances:
    """A batch whose utterances' frames (B, N, D) are moved towards another voice: each channel's mean and deviation to
    those that the utterance of another row has.

    In teacher forcing what a model has just heard tells it the voice better than any reference does, so from there it
    learns to take it; when it speaks, that is where it drifts (``lm.likeness`` shows how). Where what it hears is of
    another voice and what it is to say is not, only the reference tells. Each row goes its own share of the way, from
    0 to ``most``, drawn evenly. References stay as they are, and rows without one.
    """
    rows, device = len(batch), batch.frames.device
    share = most * torch.rand(rows, device=device) * (batch.prompt_lens > 0)
    return in_voices_of(batch, torch.randperm(rows, device=device), share)


def in_voices_of(batch: Utterances, others: Tensor, share: Tensor) -> Utterances:
    """A batch whose utterance in row i goes ``share[i]`` of the way to the voice of that in row ``others[i]``: (B,)
    both, 0 to 1."""
    frames, said = batch.frames, frames_to_say(batch)[..., None]
    mean, deviation = _moments(frames, said)
    share = share[:, None, None]
    moved = (frames - mean) * (deviation[others] / deviation) ** share + torch.lerp(mean, mean[others], share)
    return replace(batch, frames=torch.where(said, moved, frames))


def _moments(frames: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (B, 1, D) over those of the frames (B, N, D) at which ``said`` (B, N, 1) is true."""
    count = said.sum(dim=1, keepdim=True)
    mean = (frames * said).sum(dim=1, keepdim=True) / count
    spread = ((frames - mean).square() * said).sum(dim=1, keepdim=True) / count
    return mean, (spread + 1e-4).sqrt()
