"""Data directories to lhotse's manifests and back, by lhotse itself."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latent_tts import audio
from latent_tts.data.kaldi import Entry, read_data_dir, validate_data_dir, write_data_dir

ROOT = Path(__file__).parent.parent
CLIPS = ROOT / "egs/mini/corpus/LibriSpeech/train-clean-100"
lhotse = pytest.importorskip("lhotse")


def tool(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope="module")
def into():
    return tool("import_lhotse")


@pytest.fixture(scope="module")
def out_of():
    return tool("export_lhotse")


@pytest.fixture
def entries():
    """Two real clips, one of them Opus of several seconds."""
    found = []
    for utt, text in (("19-198-0001", "One."), ("3699-175950-0000", "Steph cried.")):
        spk, chapter, _ = utt.split("-")
        path = (CLIPS / spk / chapter / f"{utt}.opus").resolve()
        found.append(Entry(utt, spk, path, text, round(audio.seconds(path), 4)))
    return found


def stretches(entries: list[Entry]) -> list[Entry]:
    """Two of the second clip."""
    whole = entries[1]
    return [
        replace(whole, utt=f"3699-{n}", seconds=end - begin, span=(begin, end), recording=whole.utt)
        for n, (begin, end) in enumerate([(0.0, 1.5), (1.5, 4.0)])
    ]


@pytest.mark.parametrize("cut", [False, True])
def test_there_and_back(tmp_path, entries, into, out_of, cut):
    entries = stretches(entries) if cut else entries
    write_data_dir(tmp_path / "d", entries)
    assert out_of([str(tmp_path / "d"), str(tmp_path / "m")]) == 0
    cuts = lhotse.load_manifest(tmp_path / "m/cuts.jsonl.gz")
    assert [cut.supervisions[0].text for cut in cuts] == [entry.text for entry in entries]
    assert [cut.duration for cut in cuts] == pytest.approx([entry.seconds for entry in entries], abs=1e-3)
    first = next(iter(cuts))
    assert first.load_audio().shape == (1, first.num_samples)
    sets = [f"--{kind}={tmp_path}/m/{kind}.jsonl.gz" for kind in ("recordings", "supervisions")]
    for number, how in enumerate(([f"--cuts={tmp_path}/m/cuts.jsonl.gz"], sets)):
        back = tmp_path / f"back{number}"
        assert into([*how, "--out", str(back)]) == 0
        assert read_data_dir(back) == entries
        assert validate_data_dir(back) == []


def test_what_cannot_be_an_utterance_is_listed(tmp_path, entries, into, out_of, capsys):
    write_data_dir(tmp_path / "d", entries)
    out_of([str(tmp_path / "d"), str(tmp_path / "m")])
    recordings = tmp_path / "m/recordings.jsonl.gz"
    good = list(lhotse.load_manifest(tmp_path / "m/supervisions.jsonl.gz"))[1]
    harmed = {
        "no_text": {"text": "  "},
        "no_speaker": {"speaker": None},
        "too_long": {"duration": good.duration + 1},
        "lost": {"recording_id": "nowhere"},
        "mine": {},
    }
    said = [lhotse.fastcopy(good, id=name, **change) for name, change in harmed.items()]
    lhotse.SupervisionSet.from_segments(said).to_file(tmp_path / "s.jsonl.gz")
    capsys.readouterr()
    arguments = [f"--recordings={recordings}", f"--supervisions={tmp_path}/s.jsonl.gz", f"--out={tmp_path}/back"]
    assert into(arguments) == 1
    told = capsys.readouterr().err
    for line in (
        "no_text: its text is empty",
        "no_speaker: the speaker '' is empty",
        "too_long: it ends at",
        "lost: its recording is not there",
        "1 utterances, 4 left out",
    ):
        assert line in told
    assert [entry.utt for entry in read_data_dir(tmp_path / "back")] == ["3699-mine"]


def test_what_cannot_be_read_is_one_line(tmp_path, entries, into, out_of, capsys):
    (tmp_path / "cuts.jsonl").write_text('{"id": "x"}\n')
    for arguments in ([], [f"--cuts={tmp_path}/cuts.jsonl"], [f"--cuts={tmp_path}/gone.jsonl.gz"]):
        assert into([*arguments, f"--out={tmp_path}/d"]) == 2
    assert out_of([str(tmp_path / "d"), str(tmp_path / "m")]) == 2
    write_data_dir(tmp_path / "d", [replace(entries[0], path=tmp_path / "gone.wav")])
    assert out_of([str(tmp_path / "d"), str(tmp_path / "m")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len([line for line in told if "error: " in line]) == 5
    assert "gone.wav cannot be opened" in told[-2]
