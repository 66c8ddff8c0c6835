"""The verbs beside ``speak``: saved voices, batches, streams, and what hands over to others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_cli import assert_refused, tts  # noqa: F401 - a fixture
from tiny import tiny_model

from latent_tts import audio, cli
from latent_tts.cli import handed_over

QUICK = ("--steps=2", "--guidance=1", "--takes=1")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("cli") / "tiny")


@pytest.fixture(autouse=True)
def own_voices(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("LATENT_TTS_VOICES", str(tmp_path_factory.mktemp("home") / "voices"))


@pytest.fixture
def anna(tts, tiny, sound_file, syllables) -> Path:  # noqa: F811
    """A recording, and the voice made of it."""
    path = sound_file("anna.wav", syllables(5.0))
    made = tts("voice", "make", "anna", "--reference", path, "--consent", "my own", "--model", tiny)
    assert made.status == 0, made
    assert Path(made.out.decode().strip()).name == "anna.voice.safetensors"
    return path


class TestVoice:
    def test_made_listed_shown_removed(self, tts, anna):  # noqa: F811
        assert tts("voice", "list", "--names").out == b"anna\n" and b"consent: my own" in tts("voice", "list").out
        about = json.loads(tts("voice", "show", "anna", "--json").out)
        assert about["consent"] == "my own" and about["sample_rate"] == 16000 and about["frames"] > 20
        assert tts("voice", "remove", "anna").status == 0 and tts("voice", "list").out == b""

    def test_spoken_with(self, tts, anna, tiny):  # noqa: F811
        """By name, by file, and in a mark: the same sound."""
        file = Path(os.environ["LATENT_TTS_VOICES"]) / "anna.voice.safetensors"
        mark = ["[voice:anna]Hi.", "--reference", anna]
        for name, request in {"a": ["Hi.", "--voice", "anna"], "b": ["Hi.", "--voice", file], "c": mark}.items():
            assert tts(*request, "-o", f"{name}.wav", "--model", tiny, *QUICK).status == 0
        a, b, c = (audio.read(f"{name}.wav")[0] for name in "abc")
        assert np.array_equal(a, b) and np.array_equal(a, c)

    def test_rehearsed(self, tts, anna, tiny):  # noqa: F811
        """When it is saved or when it is asked for: the same sound, which is another than without."""
        made = tts("voice", "make", "two", "--reference", anna, "--rehearse", "--model", tiny)
        assert made.status == 0, made
        shown = [json.loads(tts("voice", "show", name, "--json").out)["rehearsed"] for name in ("anna", "two")]
        assert shown == [False, True]
        for name, request in {"a": ["anna"], "b": ["anna", "--rehearse"], "c": ["two"]}.items():
            assert tts("Hi.", "--voice", *request, "-o", f"{name}.wav", "--model", tiny, *QUICK).status == 0
        a, b, c = (audio.read(f"{name}.wav")[0] for name in "abc")
        assert np.array_equal(b, c) and not np.array_equal(a, b)

    def test_blended(self, tts, anna, tiny):  # noqa: F811
        assert tts("voice", "make", "bob", "--reference", anna, "--model", tiny).status == 0
        assert tts("voice", "blend", "both", "anna", "bob", "--weight", "0.3").status == 0
        assert json.loads(tts("voice", "show", "both", "--json").out)["consent"] == "my own"

    def test_checked(self, tts, reference):  # noqa: F811
        result = tts("voice", "check", reference, "--picture", "a.png", "-o", "best.wav")
        assert result.status == 0 and b"s used" in result.out and Path("a.png").stat().st_size > 1000
        assert 3 <= audio.seconds("best.wav") <= 10
        assert json.loads(tts("voice", "check", reference, "--json").out)["good"] is True

    @pytest.mark.parametrize(
        "arguments, complaint",
        [
            (["make", "../x", "--reference", "anna.wav"], "not the name of a voice"),
            (["make", "anna", "--reference", "anna.wav"], "already"),
            (["make", "x", "--reference", "nowhere.wav"], "no such file"),
            (["show", "nobody"], "no voice 'nobody'"),
            (["remove", "../../x"], "not the name of a voice"),
            (["blend", "x", "anna", "nobody"], "no voice 'nobody'"),
            (["blend", "x", "anna", "anna", "--weight", "2"], "weight"),
            (["check", "nowhere.wav"], "no such file"),
            (["check", "anna.wav", "-o", "x.doc"], "format"),
            ([], "list"),
            (["sing"], "sing"),
        ],
    )
    def test_what_is_refused(self, tts, anna, arguments, complaint):  # noqa: F811
        assert_refused(tts("voice", *arguments), complaint)

    def test_a_voice_of_another_model_is_refused(self, tts, anna):  # noqa: F811
        assert_refused(tts("Hi.", "--voice", "anna", "-o", "out.wav"), "made by another model")

    def test_two_voices_are_refused(self, tts, anna):  # noqa: F811
        assert_refused(tts("Hi.", "--voice", "anna", "--reference", anna, "-o", "out.wav"), "two voices")


def test_an_hour_of_silence_is_refused_at_once(tts, tmp_path):  # noqa: F811
    """A small file of FLAC: no more than a minute of it is ever decoded."""
    import soundfile

    with soundfile.SoundFile(tmp_path / "hour.flac", "w", 8000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * 8000, np.float32))
    assert (tmp_path / "hour.flac").stat().st_size < 2**20
    for request in (["Hi.", "--reference", "hour.flac", "-o", "out.wav"], ["voice", "check", "hour.flac"]):
        result = tts(*request)
        assert result.status == 2 and "is silent" in result.err and result.out == b""


def test_report_and_captions(tts, tiny, reference):  # noqa: F811
    result = tts(
        "Hello there. Bye.", "--reference", reference, "--model", tiny, *QUICK,
        "--report", "report.json", "--captions", "words.srt", "--format", "flac", "-o", "sound",
    )  # fmt: skip
    assert result.status == 0 and audio.seconds("sound") > 0.1
    first, second = json.loads(Path("report.json").read_text())["sentences"]
    assert (first["text"], second["text"]) == ("Hello there.", "Bye.") and second["start"] > first["seconds"]
    assert {"stop", "length_ratio", "silence", "clipped", "leak", "clarity", "wer", "takes"} <= first.keys()
    assert Path("words.srt").read_text().startswith("1\n00:00:0")
    assert sorted(os.listdir()) == ["report.json", "sound", "words.srt"]


def test_a_dialogue_and_a_format_on_standard_output(tts, anna, tiny):  # noqa: F811
    text = b"# two turns\nanna: Hello.\nanna: Bye."
    options = ["--markup", "dialogue", "--format=ogg", "-o", "-", "--model", tiny, "--reference", anna, *QUICK]
    result = tts("--text-file", "-", *options, stdin=text)
    assert result.status == 0 and result.out.startswith(b"OggS")


def test_a_stream_into_a_file(tts, tiny, reference):  # noqa: F811
    request = ["stream", "One. [pause:0.3s] Two.", "--reference", reference, "--model", tiny, *QUICK[:2]]
    assert tts(*request, "-o", "a.wav").status == 0 and os.listdir() == ["a.wav"]
    wav, rate = audio.read("a.wav")
    assert len(wav) == round(audio.seconds("a.wav") * rate)
    streamed = tts(*request)
    assert streamed.status == 0 and np.frombuffer(streamed.out[44:], "<i2").shape == wav.shape


def test_a_batch(tts, tiny, reference):  # noqa: F811
    Path("rows.tsv").write_text("id\ttext\tseed\na\tHi.\t1\nb\tBye.\t2\nc\t!?\t\n")
    request = ["batch", "rows.tsv", "-o", "made", "--reference", reference, "--model", tiny, *QUICK, "--format", "flac"]
    result = tts(*request)
    assert result.status == 1 and "failed: c: nothing to speak" in result.err and "2 spoken, 1 failed" in result.err
    assert sorted(os.listdir("made")) == ["a.flac", "b.flac", "ledger.jsonl"]
    again = tts(*request, "--quiet")
    assert again.status == 1 and again.err.startswith("tts: failed: c") and again.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["nowhere.tsv"], "nowhere.tsv"),
        (["rows.tsv", "--nj", "0"], "0 processes"),
        (["rows.tsv", "--takes", "99"], "takes is 99"),
        (["rows.tsv", "--verify", "asr"], "--whisper"),
        (["rows.tsv", "--voice", "anna", "--reference", "r.wav"], "two voices"),
        (["rows.tsv", "--seed", "-1"], "seed is -1"),
    ],
)
def test_batches_that_are_refused(tts, tiny, reference, arguments, complaint):  # noqa: F811
    Path("rows.tsv").write_text("id\ttext\na\tHi.\n")
    if "--reference" not in arguments:
        arguments = [*arguments, "--reference", reference]
    result = tts("batch", *arguments, "-o", "made", "--model", tiny)
    assert result.status == 2 and complaint in result.err and result.err.count("\n") == 1
    assert not Path("made").exists() or not list(Path("made").glob("*.wav"))


class TestCompletion:
    def test_bash_completes(self, tts, tmp_path):  # noqa: F811
        script = tmp_path / "completion.bash"
        script.write_bytes(tts("completion", "bash").out)

        def complete(*words: str) -> set[str]:
            line = " ".join(f'"{word}"' for word in words)
            code = f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _latent_tts; "
            code += 'echo "${COMPREPLY[@]}"'
            return set(subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split())

        assert set(cli.VERBS) <= complete("tts", "") and complete("tts", "vo") == {"voice"}
        assert "--output-dir" in complete("tts", "batch", "--out") and "blend" in complete("tts", "voice", "b")
        assert complete("tts", "speak", "--device", "c") == {"cpu", "cuda"}
        assert complete("tts", "speak", "--capt") == {"--captions"}

    def test_zsh_runs_the_same(self, tts):  # noqa: F811
        assert b"bashcompinit" in tts("completion", "zsh").out
        assert_refused(tts("completion", "fish"), "fish")


class TestTrain:
    def test_hands_over_what_it_was_given(self, tts, tmp_path, monkeypatch):  # noqa: F811
        trainer = tmp_path / "trainer.py"
        trainer.write_text("import sys; open('said', 'w').write(' '.join(sys.argv[1:])); sys.exit(7)")
        monkeypatch.setattr(handed_over, "TRAINER", trainer)
        assert tts("train", "lm", "--task.x_y=1").status == 7
        assert Path("said").read_text() == "lm --task.x_y=1"

    def test_without_a_checkout(self, tts, tmp_path, monkeypatch):  # noqa: F811
        monkeypatch.setattr(handed_over, "TRAINER", tmp_path / "nowhere.py")
        assert_refused(tts("train", "lm"), "needs the recipes")

    def test_the_trainer_is_where_it_is_looked_for(self):
        assert handed_over.TRAINER.is_file()


def test_doctor_measures_threads(tts):  # noqa: F811
    lines = tts("doctor").out.decode().splitlines()
    threads = next(line for line in lines if line.startswith("threads"))
    assert " ok " in threads and "is fastest" in threads
    weights = next(line for line in lines if line.startswith("weights"))
    assert all(part in weights for part in ("aligner ", "codec ", "lm "))


def test_verbs_need_no_torch_to_tell_their_options():
    code = "import sys; from latent_tts import cli\nfor verb in ('batch', 'voice', 'stream'):\n"
    code += "    try: cli.main([verb, '--help'])\n    except SystemExit: pass\n"
    code += "assert not {'torch', 'numpy'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
