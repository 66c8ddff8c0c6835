"""Manifests of every kind are the same rows; what cannot be a row is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_tts.errors import UserError
from latent_tts.studio.manifests import READERS, Row, read_manifest


def test_json_lines(tmp_path):
    rows = [{"id": "a.1", "text": "Hi.", "voice": "anna", "seed": 3}, {"id": "b", "text": "é", "reference": "x/r.wav"}]
    (tmp_path / "m.jsonl").write_text("\n\n".join(json.dumps(row) for row in rows), "utf-8")
    assert read_manifest(tmp_path / "m.jsonl") == [
        Row("a.1", "Hi.", "anna", seed=3),
        Row("b", "é", reference=tmp_path / "x/r.wav"),
    ]


def test_a_table(tmp_path):
    """A trial list is one: its speakers are of no use here."""
    (tmp_path / "m.tsv").write_text(
        "id\ttext\treference\tspeaker\treference_text\tseed\na\tHi.\tr.wav\ts\tHello.\t\nb\tYo.\t\ts\t\t7\n"
    )
    assert read_manifest(tmp_path / "m.tsv") == [
        Row("a", "Hi.", reference=tmp_path / "r.wav", reference_text="Hello."),
        Row("b", "Yo.", seed=7),
    ]


def test_the_shipped_trials():
    rows = read_manifest(Path(__file__).parents[2] / "egs/nano/trials/trials.tsv")
    assert len(rows) == 50 and all(row.reference.is_file() for row in rows)


def test_a_seed_tts_list(tmp_path):
    (tmp_path / "meta.lst").write_text("u-1|Some call me.|p/a.wav|Hello there.\r\nu-2|A|b.wav|Bye.|gt.wav\n")
    assert read_manifest(tmp_path / "meta.lst") == [
        Row("u-1", "Hello there.", reference=tmp_path / "p/a.wav", reference_text="Some call me."),
        Row("u-2", "Bye.", reference=tmp_path / "b.wav", reference_text="A"),
    ]


def test_a_kaldi_directory(tmp_path):
    (tmp_path / "text").write_text("s-a Hi there.\ns-b Bye.\n")
    (tmp_path / "wav.scp").write_text("s-a r.wav\n")
    (tmp_path / "utt2voice").write_text("s-b anna\n")
    rows = [Row("s-a", "Hi there.", reference=tmp_path / "r.wav"), Row("s-b", "Bye.", "anna")]
    assert read_manifest(tmp_path) == rows


@pytest.mark.parametrize(
    "name, content, complaint",
    [
        ("m.jsonl", "", "holds no rows"),
        ("m.jsonl", "\n{", "line 2: it is not JSON"),
        ("m.jsonl", "[1]", "no object"),
        ("m.jsonl", '{"id": "a"}', "id and text"),
        ("m.jsonl", '{"id": 1, "text": "a"}', "id '1'"),
        ("m.jsonl", '{"id": "a", "text": 1}', "no text"),
        ("m.jsonl", '{"id": "a", "text": "b", "pitch": 1}', "'pitch' is not known"),
        ("m.jsonl", '{"id": "a", "text": "b", "seed": -1}', "seed -1"),
        ("m.jsonl", '{"id": "a", "text": "b", "seed": true}', "seed True"),
        ("m.jsonl", '{"id": "a", "text": "b", "voice": 1}', "quotation"),
        ("m.jsonl", '{"id": "a", "text": "b", "voice": "../c"}', "not the name of a voice"),
        ("m.jsonl", '{"id": "a", "text": "b", "voice": "c", "reference": "d"}', "both a voice and a reference"),
        ("m.jsonl", '{"id": "a", "text": "b"}\n{"id": "A", "text": "b"}', "line 2: id 'A' comes twice"),
        ("m.jsonl", '{"id": "../a", "text": "b"}', "id '../a'"),
        ("m.jsonl", "[" * 100_000, "not JSON"),
        ("m.tsv", "id\tname\na\tb", "'name' is not known"),
        ("m.tsv", "id\ttext\na\tb\tc", "line 2: it has 3 cells"),
        ("m.tsv", "id\ttext\tseed\na\tb\t1e3", "seed '1e3'"),
        ("m.lst", "a|b|c", "it has 3 cells"),
        ("m.txt", "a", "no manifest"),
        ("m.tsv", b"\xff", "not UTF-8"),
    ],
)
def test_what_is_refused(tmp_path, name, content, complaint):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=complaint) as refused:
        read_manifest(path)
    assert "\n" not in str(refused.value)


def test_places_that_hold_none(tmp_path):
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(UserError):
            read_manifest(path)


def test_commands_in_a_kaldi_directory_are_not_run(tmp_path):
    (tmp_path / "text").write_text("a Hi.\n")
    (tmp_path / "wav.scp").write_text("a touch out |\n")
    with pytest.raises(UserError, match="commands are not run"):
        read_manifest(tmp_path)


ROW = '{"id": "a", "text": "b"}'
CELLS = st.sampled_from(["id", "text", "a", "..", "/", "\t", "|", "\n", ROW, '"', "seed", "\x00", "\r"])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(READERS)), st.lists(CELLS | st.text(max_size=3), max_size=20).map("".join))
def test_any_file_is_read_or_refused(tmp_path_factory, suffix, content):
    path = tmp_path_factory.mktemp("m") / f"m{suffix}"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        rows = read_manifest(path)
    except UserError as error:
        assert "\n" not in str(error).replace(str(path), "") or "\\n" in str(error)
    else:
        assert all("/" not in row.id and row.text.strip() for row in rows)
