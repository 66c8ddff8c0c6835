"""Drawing codes: from a nucleus, and from the whole distribution where a code has come too often."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from latent_tts.lm.draws import RowDraws


def nucleus(p: Tensor, top_p: float, uniform: Tensor) -> Tensor:
    """Nucleus sampling (Holtzman et al. 2020): distributions (B, V) and draws (B, 1) in [0, 1) -> entries (B,).

    Drawn from the likeliest entries, as few as have ``top_p`` together: 0 is the likeliest alone, 1 is all.
    """
    ordered, entries = p.sort(dim=1, descending=True, stable=True)
    reached = ordered.cumsum(dim=1)
    kept = (F.pad(reached[:, :-1], (1, 0)) < top_p) & (ordered > 0)
    kept[:, 0] = True
    last = kept.sum(dim=1, keepdim=True) - 1
    place = (reached <= uniform * reached.gather(1, last)).sum(dim=1, keepdim=True)
    return entries.gather(1, torch.minimum(place, last))[:, 0]


class RepetitionAware:
    """Repetition-aware sampling (VALL-E 2, Chen et al. 2024, algorithm 1), each row by random numbers of its own.

    A code is drawn from the nucleus. Where more than ``threshold`` of the last K codes are the same as it, it is drawn
    again, from the whole distribution. ``history`` (B, K) holds the last K codes, -1 where there were none yet.
    """

    def __init__(self, history: Tensor, threshold: float, draws: RowDraws, top_p: float, temperature: float):
        self.history, self.threshold, self.draws = history, threshold, draws
        self.top_p, self.temperature = top_p, max(temperature, 0.05)

    def __call__(self, logits: Tensor) -> Tensor:
        """(B, V) -> codes (B,). Every row takes two random numbers, so that it hangs on no other's codes."""
        p = (logits.float() / self.temperature).softmax(dim=1)
        first, again = (
            nucleus(p, top_p, torch.from_numpy(self.draws.uniform()).to(p.device)) for top_p in (self.top_p, 1.0)
        )
        share = (self.history == first[:, None]).double().mean(dim=1)
        codes = torch.where(share > self.threshold, again, first)
        self.history = torch.cat([self.history[:, 1:], codes[:, None]], dim=1)
        return codes
