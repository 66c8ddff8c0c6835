"""The command as people meet it: what it says, what it writes, how it ends."""

from __future__ import annotations

import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from latent_tts import audio, cli
from latent_tts.cli import checkup

EXTRAS = (
    "torchaudio lightning pytorch_lightning librosa jsonargparse matplotlib faster_whisper resemblyzer jiwer"
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), "PYTHONUNBUFFERED": ""}


class Result(NamedTuple):
    status: int
    out: bytes
    err: str


@pytest.fixture
def tts(tmp_path, monkeypatch, capsysbinary) -> Callable[..., Result]:
    """``tts(*arguments)`` runs the command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = cli.main([str(argument) for argument in arguments])
        out, err = capsysbinary.readouterr()
        return Result(status, out, err.decode())

    return command


def assert_refused(result: Result, complaint: str = "") -> None:
    """Exit 2, one line on stderr that says ``complaint``, nothing else said and nothing written."""
    assert result.status == 2, result
    assert result.err.startswith("tts: error: ") and result.err.count("\n") == 1, result
    assert complaint in result.err and result.out == b"", result
    assert not [name for name in os.listdir() if "out" in name or name.endswith(".part")]


def test_speaking_writes_a_file(tts, reference):
    result = tts("Hello there.", "--reference", reference, "-o", "out.wav")
    assert result.status == 0 and result.out == b""
    assert result.err.startswith("tts: wrote out.wav") and "Traceback" not in result.err
    wav, _ = audio.read("out.wav")
    assert 0.3 < audio.seconds("out.wav") < 8 and np.abs(wav).max() > 0.01
    assert os.listdir() == ["out.wav"]


def test_a_seed_is_a_sound_however_the_text_comes(tts, reference):
    """One seed twice is the same samples; another differs. Spellings of the request do not matter."""
    Path("text.txt").write_text("\ufeffGood morning.\n", encoding="utf-8")
    requests = {
        "a.wav": ["Good morning.", "--reference", reference, "--seed", "3"],
        "b.wav": ["speak", "--quiet", "--text_file=text.txt", f"--reference={reference}", "--seed", "3"],
        "c.wav": ["-o", "c.wav", "--seed", "3", "Good", "--reference", reference, "morning."],
        "d.wav": ["-t", "-", "--reference", reference, "--seed=3"],
        "e.wav": ["--reference", reference, "--seed", "4", "--text", "Good morning."],
    }
    sounds = {}
    for name, request in requests.items():
        result = tts(*request, "-o", name, "--takes", "1", stdin=b"Good morning.")
        assert result.status == 0 and ("--quiet" not in request or not result.err), result
        sounds[name] = audio.read(name)[0]
    for name in "bcd":
        assert np.array_equal(sounds["a.wav"], sounds[f"{name}.wav"]), name
    first, other = sounds["a.wav"], sounds["e.wav"]
    assert first.shape != other.shape or np.abs(first - other).max() > 1e-3


def test_standard_output_carries_sound_alone(tts, reference):
    whole = tts("Good evening.", "--reference", reference, "-o", "-", "--takes=1", stdin=b"ignored")
    streamed = tts("--stream", "--reference", reference, stdin=b"Good evening.")
    assert whole.status == streamed.status == 0 and not streamed.err
    (wav, rate), (chunks, chunk_rate) = (audio.read(io.BytesIO(result.out)) for result in (whole, streamed))
    assert rate == chunk_rate and wav.shape == chunks.shape and np.allclose(wav, chunks, atol=1e-3)


def test_without_a_place_the_sound_is_speech_wav(tts):
    assert tts("Hello.").status == 0 and os.listdir() == ["speech.wav"]


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus", ".mp3"])
def test_every_kind_of_reference_and_output(tts, reference, suffix):
    wav, rate = audio.read(reference)
    audio.write(f"ref{suffix}", audio.resample(wav, rate, 48000), 48000)
    assert tts("Yes.", "--reference", f"ref{suffix}", "-o", f"out{suffix}").status == 0
    assert audio.seconds(f"out{suffix}") > 0.1


def test_speaking_needs_no_extra(run, reference):
    """Torchaudio and all else that only training and scoring use may be missing."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}.split())); import latent_tts.cli as cli; "
    )
    result = run("Hello.", "--reference", reference, "-o", "x.wav", code=code + "sys.exit(cli.main())")
    assert result.returncode == 0, result.stderr


def test_a_long_reference_is_cut_with_a_note(tts, sound_file, syllables):
    path = sound_file("long.wav", syllables(61.0))
    result = tts("Yes.", "--reference", path, "-o", "out.wav")
    assert result.status == 0 and "longer than 60 s" in result.err and result.err.count("\n") == 2


BAD_SOUNDS = {
    "nine channels": (lambda speech: np.tile(speech[:, None], 9), {}, "9 channels"),
    "silent": (lambda speech: 0 * speech, {}, "is silent"),
    "short": (lambda speech: speech[:8000], {}, "0.50 s long"),
    "no samples": (lambda speech: speech[:0], {}, "no sound"),
    "NaN": (lambda speech: np.nan * speech, {"subtype": "FLOAT"}, "not numbers"),
}


@pytest.mark.parametrize("case", BAD_SOUNDS)
def test_a_recording_that_will_not_do(tts, sound_file, syllables, case):
    spoil, options, complaint = BAD_SOUNDS[case]
    path = sound_file("ref.wav", spoil(syllables()), **options)
    assert_refused(tts("Hello.", "--reference", path, "-o", "out.wav"), complaint)


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["Hello.", "--reference", "nowhere.wav"], "no such file"),
        (["Hello.", "--reference", "text.txt"], "not audio"),
        (["Hello.", "--reference", "empty"], "is empty"),
        (["Hello.", "--reference", "."], "folder"),
        ([""], "is empty"),
        ([" \n\t "], "is empty"),
        (["--text", ""], "is empty"),
        (["-"], "standard input is empty"),
        ([], "standard input is empty"),
        (["--text-file", "empty"], "empty is empty"),
        (["--text-file", "nowhere.txt"], "No such file"),
        (["--text-file", "."], "Is a directory"),
        (["--text-file", "latin1"], "not UTF-8"),
        (["--text-file", "/dev/zero"], "longer than"),
        (["Hello.", "--text", "Hello."], "more than once"),
        (["Hello.", "--text-file", "text.txt"], "more than once"),
        (["caf\udce9"], "not UTF-8"),
        (["Hello.", "-o", "out"], "format"),
        (["Hello.", "-o", "out.doc"], "format"),
        (["Hello.", "-o", "nowhere/out.wav"], "does not exist"),
        (["Hello.", "-o", ""], "folder"),
        (["Hello.", "--stream", "-o", "out.flac"], "a stream is wav"),
        (["stream", "Hello.", "-o", "out.flac"], "a stream is wav"),
        (["Hello.", "--stream", "--report", "out.json"], "--report"),
        (["Hello.", "--format", "au", "-o", "-"], "--format"),
        (["Hello.", "--takes", "0"], "takes"),
        (["Hello.", "--verify", "asr"], "--whisper"),
        (["Hello.", "--verify", "asr", "--whisper", "nowhere"], "no recogniser"),
        (["Hello.", "--verify", "none", "--report", "out.json"], "--report"),
        (["Hello.", "--captions", "out.txt"], ".srt"),
        (["Hello.", "--report", "nowhere/out.json"], "does not exist"),
        (["Hello [pause:1h]."], "a pause of '1h'"),
        (["Hello [voice:nobody].", "--voices", "."], "no voice 'nobody'"),
        (["Hello [voice:../x]."], "not the name of a voice"),
        (["<speak>Hello <emphasis>you</emphasis></speak>"], "<emphasis> cannot be done"),
        (["--markup", "dialogue", "Hello."], "has no speaker"),
        (["Hello.", "--seed", "x"], "--seed"),
        (["Hello.", "--seed", "-1"], "seed"),
        (["Hello.", "--steps", "0"], "steps"),
        (["Hello.", "--speed", "nan"], "speed"),
        (["Hello.", "--guidance", "inf"], "guidance"),
        (["Hello.", "--device", "abacus"], "--device"),
        (["Hello.", "--device", "mps"], "mps"),
        (["Hello.", "--nonsense"], "--nonsense"),
        (["Hello.", "--model", "nowhere"], "nowhere"),
        (["doctor", "--nonsense"], "--nonsense"),
    ],
)
def test_bad_requests_are_one_line(tts, sound_file, syllables, arguments, complaint):
    Path("text.txt").write_text("Hello there. " * 20)
    Path("empty").touch()
    Path("latin1").write_bytes("caf\u00e9".encode("latin-1"))
    if arguments[:1] != ["doctor"] and "--model" not in arguments and "--reference" not in arguments:
        arguments = [*arguments, "--reference", sound_file("ref.wav", syllables())]
    if arguments[:1] != ["doctor"] and "-o" not in arguments:
        arguments = [*arguments, "-o", "out.wav"]
    assert_refused(tts(*arguments), complaint)


@pytest.mark.parametrize("text", ["!?", "\u2026 \u2014", "\U0001f642", "\u4f60\u597d", "\x00\x01"])
def test_text_that_cannot_be_spoken(tts, text):
    assert_refused(tts(text, "-o", "out.wav"))


@pytest.mark.parametrize("lines", ["word", "word \u00a7\u00a7\u00a7"])
def test_a_lexicon_that_cannot_be_used(tts, lines):
    Path("lexicon.txt").write_text(lines, encoding="utf-8")
    assert_refused(tts("Hello.", "--lexicon", "lexicon.txt", "-o", "out.wav"), "lexicon.txt")


class TestBrokenModels:
    """A model directory that is not whole is refused by name, whatever is wrong with it."""

    @pytest.fixture
    def copy(self, tmp_path, model_folder) -> Path:
        return Path(shutil.copytree(model_folder, tmp_path / "model"))

    def refuse(self, tts, reference, complaint: str) -> None:
        """With the reference's text, so that the aligner is needed as well."""
        options = ["--model", "model", "--reference", reference, "--reference-text", "Hi.", "-o", "out.wav"]
        assert_refused(tts("Hello.", *options), complaint)

    def test_files_are_missing(self, tts, copy, reference):
        needed = [*copy.glob("*.safetensors"), copy / "config.yaml", copy / "phones.txt"]
        assert len(needed) > 2
        for file in needed:
            aside = file.rename(copy.parent / "aside")
            self.refuse(tts, reference, file.name)
            aside.rename(file)

    def test_the_format_is_newer(self, tts, copy, reference):
        config = yaml.safe_load((copy / "config.yaml").read_text())
        config["format"] += 1
        (copy / "config.yaml").write_text(yaml.safe_dump(config))
        self.refuse(tts, reference, "newer")

    @pytest.mark.parametrize(
        "content", ["", "- 1", "{", "format: one", "!!python/object/apply:os.mkdir [out]"]
    )
    def test_the_config_is_nonsense(self, tts, copy, reference, content):
        (copy / "config.yaml").write_text(content)
        self.refuse(tts, reference, "config.yaml")

    @pytest.mark.parametrize("change", ["shape", "missing", "extra"])
    def test_tensors_do_not_fit(self, tts, copy, reference, change):
        for file in copy.glob("*.safetensors"):
            whole = file.read_bytes()
            tensors = load_file(file)
            name = sorted(tensors)[0]
            if change == "shape":
                tensors[name] = np.zeros((*tensors[name].shape, 2), np.float32)
            elif change == "missing":
                del tensors[name]
            else:
                tensors["nonsense"] = np.zeros(3, np.float32)
            save_file(tensors, file)
            self.refuse(tts, reference, file.name)
            file.write_bytes(whole)

    def test_a_pickle_is_never_loaded(self, tts, copy, reference):
        pickle = b"cos\nmkdir\n(S'out'\ntR."  # would make the folder "out"
        for file in copy.glob("*.safetensors"):
            whole = file.read_bytes()
            file.write_bytes(pickle)
            self.refuse(tts, reference, file.name)
            file.write_bytes(whole)


def test_the_real_command_ends_like_a_command(run, sound_file, syllables):
    refused = run("Hello.", "--reference", sound_file("ref.wav", 0 * syllables()), "-o", "out.wav")
    assert refused.returncode == 2 and refused.stdout == b""
    assert refused.stderr.decode().startswith("tts: error: ") and refused.stderr.count(b"\n") == 1


def test_help_answers_at_once(run):
    """CPU time, since the machine may be busy; and torch is not what it was spent on."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = run("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert result.returncode == 0 and b"--reference" in result.stdout and result.stderr == b""
    assert min(spent) < 0.3
    loaded = run(code="import sys, latent_tts.cli; print({'torch', 'numpy'} & set(sys.modules))")
    assert loaded.stdout == b"set()\n"


def test_a_full_disk_is_one_line(tts, reference):
    assert_refused(tts("Hello.", "--reference", reference, "-o", "/dev/full"), "No space left")
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "latent_tts", "--version"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT)
    assert result.returncode == 1 and result.stderr == b"tts: error: No space left on device\n"


def test_version(run):
    from latent_tts import __version__

    assert run("--version").stdout.decode().strip() == f"latent_tts {__version__}"


def test_doctor_examines(tts):
    found = tts("doctor")
    assert found.status == 0 and found.out.count(b" ok ") == len(checkup.CHECKS), found
    assert tts("doctor", "--model", "nowhere").status == 1


def test_doctor_knows_whose_tts_it_is(tts, tmp_path, monkeypatch):
    program = tmp_path / "tts"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert b"not on the PATH" in tts("doctor").out
    for content, verdict in [
        ("from TTS.bin import main", b"another"),
        ("from latent_tts.cli import main", b"ours"),
    ]:
        program.write_text(content)
        program.chmod(0o755)
        assert verdict in tts("doctor").out


def test_an_interruption_is_quiet(monkeypatch, capsys):
    reading, writing = os.pipe()
    # A test run in the background inherits an ignored SIGINT, and Python then installs no handler.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with open(reading) as stdin, open(writing, "w"):
            monkeypatch.setattr(sys, "stdin", stdin)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            assert cli.main(["-"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "tts: interrupted\n"


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"]])
def test_a_reader_that_goes_away_is_no_crash(arguments):
    command = subprocess.Popen(
        [sys.executable, "-m", "latent_tts", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    command.stdout.close()
    assert command.stderr.read() == b"" and command.wait(60) == 141
    command.stderr.close()
