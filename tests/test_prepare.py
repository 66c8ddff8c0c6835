"""Stage 1: corpora are sorted into splits, and what is broken in them is listed, left out and counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from latent_tts import audio
from latent_tts.data.kaldi import read_data_dir

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "egs/mini/corpus"
CLIP = CORPUS / "LibriSpeech/train-clean-100/3699/175950/3699-175950-0000.opus"
RECIPES = sorted(path.parent.parent.name for path in ROOT.glob("egs/*/local/corpus.yaml"))


@pytest.fixture(scope="module")
def sound() -> Callable[..., Path]:
    """``sound(path, seconds, rate)`` writes so much speech."""
    clip, rate = audio.read(CLIP)

    def write(path: Path, seconds: float = 1.0, new_rate: int = rate) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, audio.resample(clip[: round(seconds * rate)], rate, new_rate), new_rate)
        return path

    return write


@pytest.fixture
def splits(tmp_path, stage) -> Callable[..., dict[str, dict[str, str]]]:
    """``splits(...)`` runs the stage on ``tmp_path/c`` -> what is said in each split, by utterance."""

    def run(*options: object) -> dict[str, dict[str, str]]:
        assert stage("prepare", "--corpus_dir", tmp_path / "c", "--data_dir", tmp_path / "d", *options) == 0
        return {s: {e.utt: e.text for e in read_data_dir(tmp_path / "d" / s)} for s in ("train", "valid", "test")}

    return run


def libri(root: Path, sound: Callable, *utts: str, part: str = "train-clean-100", text: str = "WELL I'M SURE") -> None:
    """Utterances of LibriSpeech with transcripts."""
    for utt in utts:
        spk, chapter, _ = utt.split("-")
        sound(root / part / spk / chapter / f"{utt}.flac")
        with open(root / part / spk / chapter / f"{spk}-{chapter}.trans.txt", "a") as file:
            file.write(f"{utt} {text}\n")


class TestSplits:
    def test_parts_are_splits(self, tmp_path, sound, splits):
        libri(tmp_path / "c", sound, "18-1-0000", "19-1-0000", "20-1-0000")
        libri(tmp_path / "c", sound, "30-1-0000", part="dev-other")
        libri(tmp_path / "c", sound, "31-1-0000", part="test-other")
        libri(tmp_path / "c", sound, "32-1-0000", part="test-clean")
        facts = ["--corpus", ROOT / "egs/librispeech/local/corpus.yaml"]
        found = splits(*facts, "--valid", "dev-other", "--test", "test-other", "test-clean")
        assert {split: list(texts) for split, texts in found.items()} == {
            "train": ["18-1-0000", "19-1-0000", "20-1-0000"],
            "valid": ["30-1-0000"],
            "test": ["31-1-0000", "32-1-0000"],
        }
        assert found["train"]["18-1-0000"] == "Well I'm sure"

    def test_where_there_is_no_part_speakers_are_held_out(self, tmp_path, sound, splits, capsys):
        libri(tmp_path / "c", sound, "18-1-0000", "18-1-0001", "19-1-0000", "20-1-0000")
        facts = ["--corpus", ROOT / "egs/librispeech/local/corpus.yaml"]
        found = splits(*facts)
        assert [len(found[split]) for split in ("train", "valid", "test")] == [1, 1, 2]
        said = capsys.readouterr().err
        assert f"no dev-clean in {tmp_path / 'c'} for valid\nvalid: every 9th speaker" in said
        libri(tmp_path / "c", sound, "5-1-0000", part="dev-clean")
        found = splits(*facts)
        assert list(found["valid"]) == ["5-1-0000"] and list(found["train"]) == ["19-1-0000", "20-1-0000"]

    def test_one_reader_s_utterances_are_held_out(self, tmp_path, sound, splits):
        numbers = (49, 50, 51, 52, 100)
        for number in numbers:
            sound(tmp_path / f"c/wavs/LJ001-{number:04d}.wav")
        (tmp_path / "c/metadata.csv").write_text("".join(f"LJ001-{n:04d}|{n}|Number {n}\n" for n in numbers))
        found = splits("--corpus", ROOT / "egs/ljspeech/local/corpus.yaml")
        assert {split: len(texts) for split, texts in found.items()} == {"train": 2, "valid": 1, "test": 2}
        assert list(found["valid"].values()) == ["Number 51"]

    def test_the_bundled_corpus_splits_by_speaker(self, tmp_path, stage):
        facts = ["--corpus", ROOT / "egs/mini/local/corpus.yaml"]
        assert stage("prepare", *facts, "--corpus_dir", CORPUS, "--data_dir", tmp_path) == 0
        speakers = {s: {e.spk for e in read_data_dir(tmp_path / s)} for s in ("train", "valid", "test")}
        assert speakers["test"] == {"3168", "3699", "5049"}
        assert speakers["valid"] == {"1963", "3259"}
        assert len(speakers["train"]) == 13 and {"19", "26", "27"} < speakers["train"]
        texts = {e.utt: e.text for e in read_data_dir(tmp_path / "train")}
        assert texts["19-198-0001"].startswith("This little work was finished in the year eighteen o three and ")


def fifty(root: Path, sound: Callable) -> list[Path]:
    """Fifty good utterances -> their files."""
    libri(root, sound, *(f"{spk}-1-{n:04d}" for spk in (18, 19, 20, 21, 22) for n in range(10)))
    return sorted(root.glob("*/*/*/*.flac"))


class TestBroken:
    """Each of the five ways to be broken is one line with the utterance and the reason."""

    FACTS = ("--corpus", ROOT / "egs/librispeech/local/corpus.yaml")

    def spoil(self, kind: str, path: Path, sound: Callable) -> None:
        table = next(path.parent.glob("*.trans.txt"))
        if kind == "missing":
            path.unlink()
        elif kind == "empty":
            table.write_text(table.read_text().replace(f"{path.stem} WELL I'M SURE", path.stem))
        elif kind == "rate":
            sound(path, 1.0, 8000)
        elif kind == "twice":
            table.write_text(table.read_text() + f"{path.stem} AGAIN\n")
        elif kind == "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            ("missing", "no such file"),
            ("empty", "its transcript is empty"),
            ("rate", "has a rate of 8000 Hz; give sound of 16000 Hz or more"),
            ("twice", "the id comes twice"),
            ("truncated", "breaks off before its end|is not audio that can be read"),
        ],
    )
    def test_it_is_listed_left_out_and_counted(self, kind, reason, tmp_path, sound, splits, capsys):
        path = fifty(tmp_path / "c", sound)[33]
        self.spoil(kind, path, sound)
        found = sum((list(texts) for texts in splits(*self.FACTS).values()), [])
        assert len(found) == (50 if kind == "twice" else 49) and (path.stem in found) == (kind == "twice")
        said = capsys.readouterr().err
        (line,) = (line for line in said.splitlines() if line.startswith("bad "))
        assert line.startswith(f"bad {path.stem} (train-clean-100): ")
        assert any(part in line for part in reason.split("|")), line
        assert f"{51 if kind == 'twice' else 50} items: 1 bad, 0 without a transcript" in said

    def test_more_than_one_in_twenty_stops_the_stage(self, tmp_path, sound, stage, capsys):
        paths = fifty(tmp_path / "c", sound)
        for kind, path in zip(("missing", "empty", "rate"), paths[::7]):
            self.spoil(kind, path, sound)
        options = [*self.FACTS, "--corpus_dir", tmp_path / "c", "--data_dir", tmp_path / "d"]
        assert stage("prepare", *options) == 2
        said = capsys.readouterr().err.splitlines()
        assert said[-1] == "prepare: error: 3 of 50 items are bad (more than 5%); see above"
        assert sum(line.startswith("bad ") for line in said) == 3 and not (tmp_path / "d").exists()
        assert stage("prepare", *options, "--max_bad", "0.1") == 0

    def test_no_transcript_is_another_thing(self, tmp_path, sound, splits, capsys):
        """However many lack one, they are listed and left out, or get a machine's that was sure enough."""
        libri(tmp_path / "c", sound, "18-1-0000", "19-1-0000", "20-1-0000")
        for spk in range(21, 26):
            sound(tmp_path / f"c/train-clean-100/{spk}/1/{spk}-1-0000.flac")
        assert len(splits(*self.FACTS)["train"]) == 1
        said = capsys.readouterr().err
        assert "8 items: 0 bad, 5 without a transcript, 0 doubtful" in said
        assert "untranscribed 23-1-0000 (train-clean-100): the corpus has no transcript of it" in said
        rows = ["utt\tavg_logprob\ttext", "21-1-0000\t-0.2\tSo it is.", "22-1-0000\t-0.9\tHm.", "23-1-0000\t-inf\t"]
        (tmp_path / "t.tsv").write_text("\n".join(rows))
        found = splits(*self.FACTS, "--transcripts", tmp_path / "t.tsv")
        assert found["train"] == {"20-1-0000": "Well I'm sure", "21-1-0000": "So it is."}
        said = capsys.readouterr().err
        assert "8 items: 0 bad, 2 without a transcript, 2 doubtful" in said
        assert "doubtful 22-1-0000 (train-clean-100): mean log-probability -0.9 of 'Hm.'" in said

    def test_a_stretch_must_lie_in_its_recording(self, tmp_path, sound, splits, capsys):
        sound(tmp_path / "c/a.flac", 5.0)
        lines = [("18-a", "rec 0 1"), ("19-a", "rec 1 2.5"), ("20-a", "rec 2.5 4"), ("20-b", "rec 4 9")]
        for name, rows in {
            "wav.scp": ["rec a.flac"],
            "segments": [f"{utt} {place}" for utt, place in lines],
            "text": [f"{utt} Yes." for utt, _ in lines],
            "utt2spk": [f"{utt} {utt[:2]}" for utt, _ in lines],
        }.items():
            (tmp_path / "c" / name).write_text("".join(f"{row}\n" for row in rows))
        assert list(splits("--layout", "kaldi", "--max_bad", "0.3")["train"]) == ["20-a"]
        assert "bad 20-b (c): it ends at 9 s, its recording at 4.75 s" in capsys.readouterr().err


class TestCollection:
    FACTS = ("--corpus", ROOT / "egs/mini/local/corpus.yaml")

    @pytest.fixture
    def corpora(self, tmp_path, sound) -> Path:
        """One corpus of each layout; of 41 items two are broken, and one machine transcript is doubtful."""
        root = tmp_path / "c"
        for spk in (9, 10, 11, 12):
            sound(root / f"Libri/train-clean-100/{spk}/1/{spk}-1-0000.flac")
        rows = ["utt\tavg_logprob\ttext", "9-1-0000\t-0.1\tYes.", "10-1-0000\t-0.2\tNo.", "11-1-0000\t-0.3\tOh."]
        (root / "Libri/machine_transcripts.tsv").write_text("\n".join([*rows, "12-1-0000\t-0.9\tHm."]))
        for part in ("dev-clean", "test-clean"):
            sound(root / f"Libri/{part}/8/1/8-1-0000.flac")
        for number in range(32):
            sound(root / f"lj/wavs/x{number:02d}.opus", 0.5 if number == 3 else 1.0)
        (root / "lj/wavs/x04.opus").write_bytes(b"OggS no sound")
        (root / "lj/metadata.csv").write_text("".join(f"x{n:02d}|No. {n}|Number {n}\n" for n in range(32)))
        sound(root / "v/wav48/p1/p1_001.wav")
        (root / "v/txt/p1").mkdir(parents=True)
        (root / "v/txt/p1/p1_001.txt").write_text("Please call.\n")
        for utt, spk in (("18-a", "18"), ("19-a", "19"), ("20-a", "20"), ("kim-a", "kim")):
            sound(root / f"k/{utt}.wav")
            for name, value in (("wav.scp", f"{utt}.wav"), ("text", "I DON'T SAY"), ("utt2spk", spk)):
                with open(root / "k" / name, "a") as file:
                    file.write(f"{utt} {value}\n")
        return root

    def test_four_layouts_are_found_split_and_cleaned(self, corpora, splits, capsys):
        found = splits(*self.FACTS)
        assert found["test"] == {"9-1-0000": "Yes.", "k_18-a": "I don't say"}
        assert found["valid"] == {"10-1-0000": "No.", "k_19-a": "I don't say"}
        train = found["train"]
        assert {"11-1-0000", "k_20-a", "k_kim-a", "p1_001", "lj-x31"} < train.keys()
        assert len(train) == 4 + 30 and train["lj-x31"] == "Number 31"
        said = capsys.readouterr().err
        assert "41 items: 2 bad, 0 without a transcript, 1 doubtful" in said
        assert "bad lj-x03 (lj): 0.50 s is not 0.8 to 60 s" in said
        assert "bad lj-x04 (lj): " in said and "doubtful 12-1-0000" in said

    def test_a_corpus_can_be_left_out_and_a_bad_one_stops_the_stage(self, corpora, tmp_path, splits, stage, capsys):
        assert not any(utt.startswith("lj-") for utt in splits(*self.FACTS, "--exclude", "lj")["train"])
        options = [*self.FACTS, "--corpus_dir", corpora, "--data_dir", tmp_path / "e"]
        assert stage("prepare", *options, "--exclude", "none") == 2
        assert "it has: Libri, k, lj, v" in capsys.readouterr().err
        for number in random.Random(0).sample(range(5, 32), 4):
            (corpora / f"lj/wavs/x{number:02d}.opus").unlink()
        assert stage("prepare", *options) == 2
        assert "6 of 41 items are bad" in capsys.readouterr().err and not (tmp_path / "e").exists()


@pytest.mark.parametrize("name", RECIPES)
def test_facts_are_options(name, tmp_path, stage, capsys):
    """What a corpus.yaml says is understood: the only thing to miss is the corpus."""
    facts = ROOT / f"egs/{name}/local/corpus.yaml"
    assert stage("prepare", "--corpus", facts, "--corpus_dir", tmp_path / "none") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "none" in said and "not known" not in said
    for archive in yaml.safe_load(facts.read_text()).get("archives", {}).values():
        assert archive["url"].startswith("https://") and set(archive) <= {"url", "size", "root", "sha256"}


@pytest.mark.parametrize(
    ("facts", "options", "line"),
    [
        ("layout: vctk\nevry: 9\n", [], "'evry' is not known; known are every"),
        ("train: train-clean-100\n", [], "train is 'train-clean-100'; write a list"),
        ("every: many\n", [], "every is 'many'; write a whole number"),
        ("- layout\n", [], "want lines like 'layout: librispeech'"),
        ("layout: [\n", [], "no YAML that can be read"),
        ("every: 9\n", [], "--layout: say one of collection, kaldi"),
        ("layout: librispeech\ntrain: [train-clean-360]\n", [], "no part 'train-clean-360' in"),
        ("layout: librispeech\ntrain: [a]\n", ["--valid", "a"], "the part 'a' is in two splits"),
        ("layout: librispeech\ntrain: [a]\n", [], "no recording of the layout 'librispeech'"),
        ("layout: vctk\nevery: 2\n", [], "--every 2: two of these are held out"),
        ("layout: vctk\ntranscripts: none.tsv\n", [], "no recording of the layout 'vctk'"),
    ],
)
def test_what_cannot_be_is_one_line(facts, options, line, tmp_path, stage, capsys):
    (tmp_path / "facts.yaml").write_text(facts)
    (tmp_path / "c/a").mkdir(parents=True)
    assert stage("prepare", "--corpus", tmp_path / "facts.yaml", "--corpus_dir", tmp_path / "c", *options) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("prepare: error: ") and line in last


def test_every_split_gets_something(tmp_path, sound, stage, capsys):
    libri(tmp_path / "c", sound, "20-1-0000", "19-1-0000")
    facts = ["--corpus", ROOT / "egs/librispeech/local/corpus.yaml"]
    assert stage("prepare", *facts, "--corpus_dir", tmp_path / "c", "--data_dir", tmp_path / "d") == 2
    assert "nothing for test; name other parts or another --every" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()
