"""Two scores of the same utterances: their difference and how sure it is, against closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from latent_tts.errors import UserError
from latent_tts.evaluate.paired import paired


def score_of(values: dict[str, float], **more: object) -> dict:
    """A score that a recogniser had no part in, of utterances with such similarities."""
    each = [{"id": utt, "similarity": value, "pesq_wb": None} for utt, value in values.items()]
    return {"recogniser": None, "extractor": "encoder", "each": each, **more}


def read_score(errors: list[int], words: int = 10) -> dict:
    each = [
        {"id": f"u{i}", "wer": n / words, "word_errors": n, "words": words, "char_errors": n, "chars": 40}
        | {"skipped": 0, "repeated": n, "inserted": 0}
        for i, n in enumerate(errors)
    ]
    return {"recogniser": "base", "extractor": "encoder", "each": each}


def test_what_is_hard_for_both_does_not_widen_the_difference():
    """The interval is that of the mean of paired differences, however much utterances differ."""
    rng = np.random.default_rng(5)
    hard, gain = rng.normal(0, 5, 80), rng.normal(0.3, 0.1, 80)
    before = score_of({f"u{i}": value for i, value in enumerate(hard)})
    after = score_of({f"u{i}": value for i, value in enumerate(hard + gain)})
    old, new, more = (row["similarity"] for row in paired(before, after))
    half = 1.96 * gain.std() / np.sqrt(80)
    assert more["value"] == pytest.approx(new["value"] - old["value"]) == pytest.approx(gain.mean())
    assert more["interval"] == pytest.approx([gain.mean() - half, gain.mean() + half], abs=0.004)
    assert old["interval"][1] - old["interval"][0] > 1, "each figure by itself is far less sure"


def test_error_rates_weigh_by_length_and_shares_count():
    old, new, more = paired(read_score([0, 2, 1]), read_score([1, 2, 6]))
    assert [row["wer"]["value"] for row in (old, new, more)] == pytest.approx([3 / 30, 9 / 30, 6 / 30])
    assert [row["share_over_half"]["value"] for row in (old, new, more)] == pytest.approx([0, 1 / 3, 1 / 3])
    assert [row["share_repeated"]["value"] for row in (old, new, more)] == pytest.approx([2 / 3, 1, 1 / 3])
    assert more["wer"]["interval"][0] >= 0, "no utterance got better"


def test_only_what_both_have_is_compared():
    before, after = score_of({"a": 0.5, "b": 0.9}), score_of({"b": 0.7, "c": 0.1})
    rows = paired(before, after)
    assert [row["utterances"] for row in rows] == [1, 1, 1]
    assert [row["similarity"]["value"] for row in rows] == pytest.approx([0.9, 0.7, -0.2])
    assert "pesq_wb" not in rows[0] and "wer" not in rows[0]


@pytest.mark.parametrize(
    "before, after, complaint",
    [
        (score_of({"a": 1.0}), score_of({"b": 1.0}), "no utterance"),
        (score_of({"a": 1.0}), score_of({"a": 1.0}, extractor="other"), "extractor"),
        (read_score([1]), read_score([1], words=9), "other texts"),
    ],
)
def test_what_cannot_be_compared_is_refused(before, after, complaint):
    with pytest.raises(UserError, match=complaint):
        paired(before, after)


def test_the_command_tells_systems_of_a_score_apart(stage, tmp_path, capsys):
    path = tmp_path / "score.json"
    systems = {name: {"each": score_of({"a": 0.5, "b": value})["each"]} for name, value in (("x", 0.9), ("y", 0.7))}
    path.write_text(json.dumps({"recogniser": None, "extractor": "encoder", "systems": systems}))
    assert stage("compare_scores", f"{path}=x", f"{path}=y") == 0
    assert "| after less before | 2 | -0.100 [-0.200, 0.000] |" in capsys.readouterr().out
    assert stage("compare_scores", path, f"{path}=y") == 2
    assert f"want {path}=x or {path}=y" in capsys.readouterr().err


@pytest.mark.parametrize("held", ["[]", "{}", '{"recogniser": null, "extractor": null}', "what"])
def test_what_is_no_score_is_one_line(held, stage, tmp_path, capsys):
    (tmp_path / "score.json").write_text(held)
    assert stage("compare_scores", tmp_path / "score.json", tmp_path / "score.json") == 2
    said = capsys.readouterr().err
    assert "is no score" in said and said.count("\n") == 1
