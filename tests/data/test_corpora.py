"""Every layout is read as it is published: what is said, by whom, from which file, and what decides the split."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from latent_tts.data import corpora
from latent_tts.data.corpora import Item, read_transcripts, with_transcripts
from latent_tts.data.librilight import Cut, Recording, read_libriheavy, read_librilight, utterance_name
from latent_tts.errors import UserError


def put(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def read(layout: str, folder: Path, *parts: str) -> dict[str, Item]:
    """A reader never opens a sound, so empty files do."""
    items = list(corpora.READERS[layout](folder, parts))
    assert len({item.utt for item in items}) == len(items)
    return {item.utt: item for item in items}


def test_librispeech(tmp_path):
    chapter = tmp_path / "dev-clean/84/121123"
    for name in ("84-121123-0000", "84-121123-0002", "84-121123-0003"):
        put(chapter / f"{name}.flac")
    put(chapter / "84-121123.trans.txt", "84-121123-0000 GO ON\n84-121123-0001 GONE\n84-121123-0002\n")
    put(tmp_path / "test-clean/61/7/61-7-0000.flac")
    items = read("librispeech", tmp_path, "dev-clean")
    assert {utt: item.text for utt, item in items.items()} == {
        "84-121123-0000": "GO ON", "84-121123-0001": "GONE", "84-121123-0002": "", "84-121123-0003": None,
    }  # fmt: skip
    assert {item.path.is_file() for utt, item in items.items() if not utt.endswith("1")} == {True}
    lost = items["84-121123-0001"]
    assert lost == Item(lost.utt, "84", chapter / "84-121123-0001.flac", "GONE", "dev-clean", 84)
    assert list(read("librispeech", tmp_path, "test-clean")) == ["61-7-0000"]


@pytest.mark.parametrize("again", ["84-1-0000 TWO\n", ""])
def test_what_librispeech_has_twice_comes_twice(tmp_path, again):
    for chapter in ("84/1", "84/2") if not again else ("84/1",):
        put(tmp_path / "dev-clean" / chapter / "84-1-0000.flac")
    put(tmp_path / "dev-clean/84/1/84-1.trans.txt", "84-1-0000 ONE\n" + again)
    items = list(corpora.read_librispeech(tmp_path, ["dev-clean"]))
    assert [item.utt for item in items] == ["84-1-0000"] * 2


def test_libritts(tmp_path):
    chapter = tmp_path / "train-clean-100/103/1240"
    put(chapter / "103_1240_000000_000001.wav")
    put(chapter / "103_1240_000000_000001.normalized.txt", "Mister Smith, of 5.\n")
    put(chapter / "103_1240_000000_000001.original.txt", "Mr. Smith")
    put(chapter / "103_1240.trans.tsv", "not read")
    put(chapter / "103_1240_000002_000000.wav")
    put(chapter / "103_1240_000003_000000.normalized.txt", "Lost.")
    items = read("libritts", tmp_path, "train-clean-100")
    first, mute, lost = (items[f"103-1240-00000{n}-00000{m}"] for n, m in ((0, 1), (2, 0), (3, 0)))
    assert (first.spk, first.text, first.number, first.path.name) == (
        "103", "Mister Smith, of 5.", 103, "103_1240_000000_000001.wav",
    )  # fmt: skip
    assert mute.text is None and lost.path == chapter / "103_1240_000003_000000.wav" and len(items) == 3


def test_ljspeech(tmp_path):
    folder = tmp_path / "LJSpeech-1.1"
    put(folder / "wavs/LJ001-0050.wav")
    put(folder / "metadata.csv", "LJ001-0050|In 1900|In nineteen hundred\nLJ001-0051|Raw alone|\nLJ001-0052\n")
    items = read("ljspeech", folder)
    assert [item.text for item in items.values()] == ["In nineteen hundred", "Raw alone", ""]
    first, second, _ = items.values()
    assert first.utt == "LJSpeech-1.1-LJ001-0050" and first.spk == first.part == "LJSpeech-1.1"
    assert first.number == 10050 and first.path.is_file() and not second.path.exists()


@pytest.mark.parametrize("version", ["wav48", "wav48_silence_trimmed"])
def test_vctk(tmp_path, version):
    for mic in (2, 1) if "trimmed" in version else ():
        put(tmp_path / version / f"p225/p225_001_mic{mic}.flac")
        put(tmp_path / version / f"p315/p315_001_mic{mic}.flac")
    if version == "wav48":
        put(tmp_path / "wav48/p225/p225_001.wav")
    put(tmp_path / "txt/p225/p225_001.txt", "Please call Stella.\n")
    items = read("vctk", tmp_path)
    first = items["p225_001"]
    assert (first.spk, first.text, first.number) == ("p225", "Please call Stella.", 225)
    assert first.path.is_file() and "mic2" not in first.path.name
    assert version == "wav48" or items["p315_001"].text is None  # its texts were lost


def test_kaldi_with_segments(tmp_path):
    put(tmp_path / "wav.scp", "18-rec 18.flac\n")
    put(tmp_path / "segments", "18-a 18-rec 0.5 1.5\n18-b 18-rec 2 3\n")
    put(tmp_path / "utt2spk", "18-a 18\n18-b 18\n")
    put(tmp_path / "text", "18-a One.\n")
    items = read("kaldi", tmp_path)
    first = items["18-a"]
    assert (first.path, first.span, first.recording, first.number) == (tmp_path / "18.flac", (0.5, 1.5), "18-rec", 18)
    assert (first.text, items["18-b"].text) == ("One.", None)


def test_texts_that_are_lacking_come_from_a_table(tmp_path):
    table = put(tmp_path / "t.tsv", "utt\tavg_logprob\ttext\na\t-0.25\tHeard.\nb\t-0.5\tNot taken.\n")
    items = [Item(utt, "s", tmp_path, text, "p") for utt, text in (("a", None), ("b", "Written."), ("c", None))]
    found = list(with_transcripts(items, read_transcripts(table)))
    assert [(item.text, item.logprob) for item in found] == [("Heard.", -0.25), ("Written.", None), (None, None)]
    put(table, "utt\tavg_logprob\ttext\na -0.25 Heard.\n")
    with pytest.raises(UserError, match=r"t.tsv:2: want three columns"):
        read_transcripts(table)
    with pytest.raises(UserError, match="none.tsv: not a UTF-8 text file"):
        read_transcripts(tmp_path / "none.tsv")


class TestLibriLight:
    def test_recordings_have_their_metadata_beside_them(self, tmp_path):
        book = tmp_path / "small/100/sea_fairies"
        for name, content in (("01", '{"speaker": "100"}'), ("02", '{"speaker": "7"}'), ("03", "{"), ("04", None)):
            put(book / f"{name}.flac")
            if content:
                put(book / f"{name}.json", content)
        put(book / "05.json", '{"speaker": "100"}')
        put(tmp_path / "medium/9/b/01.flac")
        good, *bad = read_librilight(tmp_path, ["small"])
        assert good == Recording("100-sea_fairies-01", "100", book / "01.flac")
        problems = ["02.json says speaker 7, its folder 100", "03.json is not JSON"]
        problems += ["its metadata 04.json is not there", "there is no sound beside its JSON"]
        for recording, problem in zip(bad, problems, strict=True):
            assert recording.problem.startswith(problem)
        with pytest.raises(UserError, match="no part 'large'; it has: medium, small"):
            list(read_librilight(tmp_path, ["large"]))

    @pytest.mark.parametrize("packed", [True, False])
    def test_libriheavy_says_where_and_what(self, tmp_path, packed):
        def line(recording: str = "small/100/sea_fairies/01", **supervision: object) -> str:
            recording_of_it = {"id": recording, "duration": 597.9}
            return json.dumps(
                {"start": 243.919, "duration": 7.36, "supervisions": [supervision], "recording": recording_of_it}
            )

        texts = {"texts": ["“Why?”  she asked.", "WHY SHE ASKED"], "begin_byte": 4993}
        lines = [line(custom=texts), line(text="As lhotse writes it."), line("01", text="x"), line(), "{"]
        path, content = tmp_path / "cuts.jsonl", "".join(f"{each}\n" for each in lines).encode()
        if packed:
            path = path.with_suffix(".jsonl.gz")
            content = gzip.compress(content)
        path.write_bytes(content)
        first, second, *bad = read_libriheavy(path)
        assert first == Cut("100-sea_fairies-01", (243.919, pytest.approx(251.279)), "“Why?” she asked.")
        assert second.text == "As lhotse writes it."
        assert [cut.recording for cut in bad] == [f"{path.name}:{n}" for n in (3, 4, 5)]
        assert all(cut.problem.startswith("it is no cut") for cut in bad)
        assert utterance_name(first.recording, first.span) == "100-sea_fairies-01-0024392-0025128"
        if packed:
            path.write_bytes(content[:40])
            with pytest.raises(UserError, match="no manifest that can be read"):
                list(read_libriheavy(path))
