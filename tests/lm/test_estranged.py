"""Another voice among what is heard: by closed forms, in the utterances alone, and only where a reference tells."""

from __future__ import annotations

import pytest
import torch
from tiny import utterance

from latent_tts.frames import Utterances, stack
from latent_tts.lm.estranged import estranged, in_voices_of

LENGTHS = ((7, 30), (4, 21), (0, 25))  # frames of each row's reference and utterance
BATCH = stack([utterance(5, frames, prompt=prompt, seed=i) for i, (prompt, frames) in enumerate(LENGTHS)])
NEXT = torch.tensor([1, 2, 0])


def said(batch: Utterances, row: int) -> torch.Tensor:
    """An utterance's frames (n, D)."""
    prompt, frames = LENGTHS[row]
    return batch.frames[row, prompt : prompt + frames]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_moments_go_their_share_of_the_way(share):
    """Means in a line, deviations by ratio; what was high stays high."""
    moved = in_voices_of(BATCH, NEXT, torch.full((3,), share))
    for row, other in enumerate(NEXT.tolist()):
        (mean, there), (wide, far) = (
            [getattr(said(BATCH, r), what)(0, **options) for r in (row, other)]
            for what, options in (("mean", {}), ("std", {"correction": 0}))
        )
        now = said(moved, row)
        torch.testing.assert_close(now.mean(0), (1 - share) * mean + share * there, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(now.std(0, correction=0), wide ** (1 - share) * far**share, rtol=1e-3, atol=1e-3)
        assert now.argsort(0).equal(said(BATCH, row).argsort(0))


def test_nothing_else_is_moved():
    """References, what is behind an utterance, the texts; and rows of no reference, whose voice nothing else tells."""
    torch.manual_seed(0)
    moved = estranged(BATCH, 1.0)
    for row, (prompt, frames) in enumerate(LENGTHS):
        assert moved.frames[row, :prompt].equal(BATCH.frames[row, :prompt])
        assert moved.frames[row, prompt + frames :].equal(BATCH.frames[row, prompt + frames :])
    assert moved.text is BATCH.text and said(moved, 2).allclose(said(BATCH, 2), atol=1e-5)


def test_rows_go_shares_of_their_own_up_to_the_most():
    """The way of each row, told from its mean: drawn evenly from 0 to ``most``."""
    rows = stack([utterance(3, 20, prompt=2, seed=i) for i in range(40)])
    torch.manual_seed(1)
    moved = estranged(rows, 0.6).frames[:, 2:].mean(1) - rows.frames[:, 2:].mean(1)
    torch.manual_seed(1)
    whole = in_voices_of(rows, *_drawn(rows)).frames[:, 2:].mean(1) - rows.frames[:, 2:].mean(1)
    shares = ((moved * whole).sum(1) / whole.square().sum(1))[whole.norm(dim=1) > 1e-3]
    assert 0 <= shares.min() < 0.1 and 0.5 < shares.max() <= 0.6001 and 0.2 < shares.mean() < 0.4


def _drawn(rows: Utterances) -> tuple[torch.Tensor, torch.Tensor]:
    """The others that ``estranged`` draws, and all of the way."""
    torch.rand(len(rows))
    return torch.randperm(len(rows)), torch.ones(len(rows))
