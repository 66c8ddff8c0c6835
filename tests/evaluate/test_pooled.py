"""Several seeds as one: intervals over both seeds and utterances, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from latent_tts.errors import UserError
from latent_tts.evaluate.pooled import hierarchical_interval, pooled
from latent_tts.evaluate.report import bootstrap_interval, figure


def test_over_seeds_and_utterances_the_variances_add():
    """Where a figure is a seed's part plus an utterance's, the bootstrap of its mean has the variance of the one over S
    and that of the other over U, added."""
    rng = np.random.default_rng(3)
    seeds, utterances = rng.normal(0, 1, 40), rng.normal(5, 3, 60)
    low, high = hierarchical_interval(seeds[:, None] + utterances, draws=20000)
    half = 1.96 * np.sqrt(seeds.var() / 40 + utterances.var() / 60)
    middle = seeds.mean() + utterances.mean()
    assert [low, high] == pytest.approx([middle - half, middle + half], abs=0.04)


def test_seeds_that_agree_add_no_certainty_about_utterances():
    values = np.random.default_rng(4).normal(0, 1, 50)
    alone = bootstrap_interval(values)
    assert hierarchical_interval([values]) == pytest.approx(alone)
    assert hierarchical_interval([values] * 5) == pytest.approx(alone), "five times the same is no five times as many"


def test_a_pooled_rate_weighs_by_length():
    assert hierarchical_interval([[1, 2, 25], [3, 6, 75]], [[4, 8, 100]] * 2, draws=500) == (0.25, 0.75)


def score_of(errors: list[int], **more: object) -> dict:
    """A score of utterances of 10 words with so many word errors, skipped words all."""
    each = [
        {"id": f"u{i}", "wer": n / 10, "word_errors": n, "words": 10, "char_errors": n, "chars": 40, "skipped": n}
        | {"repeated": 0, "inserted": 0, "similarity": 0.1 * n, "dnsmos_ovrl": 3.0}
        for i, n in enumerate(errors)
    ]
    names = ("wer", "cer", "share_over_half", "share_skipped", "share_repeated", "share_inserted")
    held = dict.fromkeys((*names, "similarity", "dnsmos_ovrl"), figure([0.0]))
    return {"recogniser": "base", "extractor": "encoder", **held, "each": each, **more}


def test_seeds_are_pooled():
    first, second = score_of([0, 0, 6]), score_of([1, 0, 5])
    second["each"].reverse()
    figures = pooled([first, second])
    assert (figures["seeds"], figures["utterances"]) == ({"value": 2}, 3)
    assert (figures["recogniser"], figures["extractor"]) == ("base", "encoder")
    names = figures.keys() - {"seeds", "utterances", "recogniser", "extractor"}
    values = {name: figures[name]["value"] for name in names}
    assert values == pytest.approx(
        {"wer": 12 / 60, "cer": 12 / 240, "share_over_half": 1 / 6, "share_skipped": 3 / 6, "share_repeated": 0}
        | {"share_inserted": 0, "similarity": 0.2, "dnsmos_ovrl": 3, "wer_median": 1 / 20}
    )
    assert figures["dnsmos_ovrl"]["interval"] == [3, 3]
    unread = score_of([0, 1], recogniser=None, wer=None, cer=None, share_over_half=None)
    for name in ("share_skipped", "share_repeated", "share_inserted"):
        del unread[name]
    about = {"seeds", "utterances", "recogniser", "extractor"}
    assert pooled([unread]).keys() == about | {"similarity", "dnsmos_ovrl"}


def test_what_cannot_be_pooled_is_refused():
    for other in (score_of([0, 1, 2]), score_of([0, 1], recogniser="large"), score_of([0, 1], extractor="other")):
        with pytest.raises(UserError, match="cannot be pooled"):
            pooled([score_of([0, 1]), other])
