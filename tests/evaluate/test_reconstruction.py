"""A codec on recordings: which are chosen, what is left of them, and ``tts eval`` from end to end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio, cli
from latent_tts.data.kaldi import Entry, write_data_dir
from latent_tts.errors import UserError
from latent_tts.evaluate.quality import mel_distance
from latent_tts.evaluate.reconstruction import choose_recordings, references_of, round_trip
from latent_tts.evaluate.trials import Trial, write_trials
from latent_tts.model_dir import load_codec

CORPUS = Path(__file__).parents[2] / "egs/mini/corpus/LibriSpeech/train-clean-100"
RATE = 16000


@pytest.fixture
def trials(tmp_path) -> Path:
    """A trial list of two references, one of them in two trials."""
    for spk, chapter, utt in (("19", "198", "19-198-0001"), ("3699", "175950", "3699-175950-0000")):
        wav, rate = audio.read(CORPUS / spk / chapter / f"{utt}.opus", RATE)
        audio.write(tmp_path / f"{spk}.wav", wav[: 2 * rate], rate)
    speakers = enumerate(["19", "3699", "19"])
    rows = [Trial(f"{number}-{spk}", "Hi.", tmp_path / f"{spk}.wav", spk, "So.") for number, spk in speakers]
    write_trials(tmp_path / "trials.tsv", rows)
    return tmp_path / "trials.tsv"


def entries(tmp_path: Path, **seconds: float) -> list[Entry]:
    """Noise for each utterance SPK_N, in files of their own."""
    made = []
    for utt, length in seconds.items():
        noise = np.random.default_rng(0).normal(0, 0.1, round(length * RATE)).astype(np.float32)
        audio.write(tmp_path / f"{utt}.wav", noise, RATE)
        made.append(Entry(utt, utt.split("_")[0], tmp_path / f"{utt}.wav", f"says {utt}", length))
    return made


def test_every_speaker_is_heard_before_any_twice(tmp_path):
    told = entries(tmp_path, a_1=4, a_2=4, a_3=4, a_4=2, b_1=4, c_1=31, d_1=4)
    chosen = choose_recordings(told, 4)
    assert sorted(r.utt[0] for r in chosen[:3]) == ["a", "b", "d"] and chosen[3].utt == "a_2"
    assert chosen[3].text == "says a_2" and chosen == choose_recordings(reversed(told), 4)
    assert len(choose_recordings(told, 10)) == 5


def test_what_cannot_be_used_is_left_out(tmp_path, caplog):
    caplog.set_level("WARNING", "latent_tts")  # the command, run in this process, may have set another
    told = entries(tmp_path, a_1=4, a_2=4)
    audio.write(tmp_path / "a_1.wav", np.zeros(4 * RATE, np.float32), RATE)
    assert [r.utt for r in choose_recordings(told, 2)] == ["a_2"]
    assert "a_1 is left out" in caplog.text and "silent" in caplog.text
    with pytest.raises(UserError, match="no recording of 3 to 30 s"):
        choose_recordings(told[:1], 2)


def test_references_are_taken_once(tmp_path):
    rows = [Trial(str(i), "t", tmp_path / name, "s", "said") for i, name in enumerate(["a.wav", "b.wav", "a.wav"])]
    assert [(r.utt, r.text) for r in references_of(rows)] == [("a", "said"), ("b", "said")]
    with pytest.raises(UserError, match="same file name"):
        references_of([*rows, Trial("3", "t", tmp_path / "new" / "a.wav", "s")])


def test_a_round_trip_keeps_length_and_place(model_folder, reference):
    codec = load_codec(model_folder)
    wav = audio.read(reference, codec.sample_rate)[0][:20001]
    frames, decoded = round_trip(codec, wav)
    assert decoded.shape == wav.shape and len(frames) == -(-len(wav) // codec.hop_length)
    shifted = [mel_distance(wav, np.roll(decoded, shift), codec.sample_rate) for shift in (-800, 0, 800)]
    assert min(shifted) == shifted[1]


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def packages(self):
        for package in ("resemblyzer", "speechmos", "pystoi", "librosa", "matplotlib"):
            pytest.importorskip(package)

    def test_codec(self, tmp_path, trials, capsys):
        options = ["--trials", trials, "--out", tmp_path / "out", "--pictures", 1]
        assert cli.main(["eval", "codec", *map(str, options)]) == 0
        said = capsys.readouterr().out
        score = json.loads((tmp_path / "out/score.json").read_text())
        spent = score["numbers_per_second"]
        assert spent["codec"] == pytest.approx(spent["griffin_lim"], rel=0.01)
        systems = score["systems"]
        assert systems["original"]["mel_distance"]["value"] == 0
        assert systems["codec"]["mel_distance"]["value"] < systems["griffin_lim"]["mel_distance"]["value"]
        assert systems["codec"]["similarity"]["value"] > systems["griffin_lim"]["similarity"]["value"]
        rows = [line.split("|")[1].strip() for line in said.splitlines()[2:]]
        assert rows == ["original", "codec", "mel + Griffin-Lim"]
        assert (tmp_path / "out/row.md").read_text() == said
        assert [path.name for path in (tmp_path / "out/pictures").iterdir()] == ["19.png"]
        for name in systems:
            assert sorted(path.name for path in (tmp_path / "out/wav" / name).iterdir()) == ["19.wav", "3699.wav"]

    def test_the_codec_alone(self, tmp_path, trials, capsys):
        options = ["--trials", trials, "--out", tmp_path / "out", "--pictures", 0, "--systems", "codec"]
        assert cli.main(["eval", "codec", *map(str, options)]) == 0
        assert [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]] == ["codec"]
        assert list(json.loads((tmp_path / "out/score.json").read_text())["systems"]) == ["codec"]
        assert not list((tmp_path / "out/wav/griffin_lim").iterdir())

    def test_speech(self, tmp_path, trials, capsys):
        (tmp_path / "spoken").mkdir()
        for name in ("0-19", "1-3699", "2-19"):
            audio.write(tmp_path / "spoken" / f"{name}.wav", *audio.read(tmp_path / "19.wav"))
        options = ["--trials", trials, "--wavs", tmp_path / "spoken", "--out", tmp_path / "out", "--pictures", 0]
        assert cli.main(["eval", "speech", *map(str, options)]) == 0
        score = json.loads((tmp_path / "out/score.json").read_text())
        similarities = {row["id"]: row["similarity"] for row in score["each"]}
        assert similarities["0-19"] == pytest.approx(1, abs=1e-5) and similarities["1-3699"] < 0.9
        assert capsys.readouterr().out.splitlines()[2].startswith("| spoken | 3 |")
        assert not (tmp_path / "out/pictures").exists()

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ([], "codec|speech"),
            (["codec", "--out", "out"], "--trials"),
            (["codec", "--trials", "none", "--out", "out"], "none: no such trial list"),
            (["codec", "--data", "none", "--out", "out"], "none"),
            (["codec", "--data", "data", "--count", "0", "--out", "out"], "no recording"),
            (["codec", "--data", "data", "--trials", "trials.tsv", "--out", "out"], "not allowed with"),
            (["codec", "--data", "data", "--model", "none", "--out", "out"], "none: no such model directory"),
            (["codec", "--data", "data", "--whisper", "none", "--out", "out"], "none: no recogniser there"),
            (["codec", "--data", "data", "--pictures", "-1", "--out", "out"], "not a whole number"),
            (["codec", "--data", "data", "--out", "trials.tsv"], "trials.tsv cannot be made a folder"),
            (["speech", "--trials", "trials.tsv", "--wavs", "none", "--out", "."], "3 of 3 sound files are missing"),
        ],
    )
    def test_bad_requests_are_one_line(self, tmp_path, trials, monkeypatch, capsys, options, complaint):
        write_data_dir(tmp_path / "data", entries(tmp_path, a_1=4))
        monkeypatch.chdir(tmp_path)
        self.refuse(capsys, options, complaint)
        assert not Path("out").exists()

    def test_a_missing_package_is_one_line(self, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        self.refuse(capsys, ["codec", "--trials", "none", "--out", "out"], "scoring needs matplotlib; ")
        self.refuse(capsys, ["codec", "--trials", "none", "--out", "out", "--pictures", "0"], "no such trial list")

    def refuse(self, capsys, options: list[str], complaint: str) -> None:
        assert cli.main(["eval", *options]) == 2
        said = capsys.readouterr()
        assert said.err.startswith("tts: error: ") and said.err.count("\n") == 1 and said.out == ""
        assert complaint in said.err
