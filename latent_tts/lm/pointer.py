"""The walk of the monotone pointer while frames are generated."""

from __future__ import annotations

import torch
from torch import Tensor

from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.draws import RowDraws


class PointerWalk:
    """Where each row of a batch is in its text.

    ``step`` draws how many phones begin in the next frame and moves on. It cannot go back, and no phone may last
    longer than ``longest`` frames, so a row of L phones ends within (L + 1) * longest frames. The end comes in a frame
    after the last phone's, so no row is empty.
    """

    longest = 16  # frames a phone or a pause may last

    def __init__(self, prompt: Utterances, max_advance: int, sampling: Sampling):
        device = prompt.text.device
        self.sampling = sampling
        self.text_lens = prompt.text_lens
        self.read = prompt.prompt_text_lens  # phones of the reference, read before the first step
        self.pointers = prompt.prompt_text_lens.clone()
        self.alive = torch.ones(len(prompt), dtype=torch.bool, device=device)
        self.waited = torch.zeros_like(self.pointers)
        self.moves = torch.arange(max_advance + 1, device=device)
        self.draws = RowDraws(sampling.seeds(len(prompt)), device)

    @property
    def spoken(self) -> Tensor:
        """(B,) phones of the utterance that have begun."""
        return self.pointers - self.read

    def step(self, logits: Tensor) -> Tensor:
        """Logits over advances (B, max_advance + 1) -> the advances drawn (B,)."""
        left = (self.text_lens - self.pointers).clamp(min=1)  # the end counts as a phone, and comes alone
        logits = logits.masked_fill(self.moves > left[:, None], float("-inf"))
        stay = (self.waited >= self.longest)[:, None] & (self.moves == 0)
        advances = self._draw(logits.masked_fill(stay, float("-inf")))
        self.pointers = torch.where(self.alive, (self.pointers + advances).clamp(max=self.text_lens + 1), self.pointers)
        self.waited = torch.where(advances > 0, 1, self.waited + 1)
        self.alive = self.alive & (self.pointers <= self.text_lens)
        return advances

    def _draw(self, logits: Tensor) -> Tensor:
        uniform = self.draws.uniform()
        sampling = self.sampling
        if sampling.duration_temperature == 0 and sampling.speed == 1:
            return logits.argmax(dim=1)
        p = (logits / max(sampling.duration_temperature, 0.05)).softmax(dim=1)
        if sampling.speed != 1:
            p = tilt(p, sampling.speed)
        return (p.cumsum(dim=1) < uniform).sum(dim=1).clamp(max=len(self.moves) - 1)


def onsets_of(begun: Tensor, count: int) -> Tensor:
    """Phones begun by the end of each frame (N,) -> when each of ``count`` phones begins, in frames (count,).

    Phones that begin in one frame share it evenly, each in the middle of its part, where it is expected to begin; the
    first one begins with the sound.
    """
    phones = torch.arange(count, device=begun.device)
    frame = torch.searchsorted(begun, phones, right=True)  # the first at whose end more have begun
    before = torch.where(frame > 0, begun[(frame - 1).clamp(min=0)], 0)
    within = (phones - before + 0.5) / (begun[frame] - before)
    return torch.where(phones == 0, 0, frame + within)


def tilt(p: Tensor, speed: float) -> Tensor:
    """Distributions over 0..K (B, K + 1) -> the nearest (in relative entropy) with ``speed`` times their mean.

    Those are p(k) exp(a k) / Z; a is found by bisection. Means are kept within what the support allows.
    """
    moves = torch.arange(p.shape[1], device=p.device, dtype=p.dtype)
    possible = torch.where(p > 0, moves, 0).amax(dim=1)
    target = torch.minimum((p * moves).sum(dim=1) * speed, possible * 0.99)
    low, high = torch.full_like(target, -10), torch.full_like(target, 10)
    for _ in range(30):
        middle = (low + high) / 2
        mean = (_tilted(p, middle, moves) * moves).sum(dim=1)
        low, high = torch.where(mean < target, middle, low), torch.where(mean < target, high, middle)
    return _tilted(p, (low + high) / 2, moves)


def _tilted(p: Tensor, a: Tensor, moves: Tensor) -> Tensor:
    weights = (p.clamp(min=1e-30).log() + a[:, None] * moves).masked_fill(p == 0, float("-inf"))
    return weights.softmax(dim=1)
