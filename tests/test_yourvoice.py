"""egs/yourvoice: recordings are cut, checked and divided; what is unusable is one line; only what is better is kept."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latent_tts import TTS, audio
from latent_tts.errors import UserError
from latent_tts.model_files import SHIPPED, own_reference

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "egs/yourvoice"
CORPUS = ROOT / "egs/mini/corpus/LibriSpeech/train-clean-100"
RATE = 16000


@pytest.fixture
def local(local_of):
    """``local(name)`` is a module of the recipe's local/."""
    return local_of("yourvoice")


@pytest.fixture
def whisper(tmp_path) -> Path:
    """A folder that passes for a recogniser as long as nobody listens."""
    (tmp_path / "whisper").mkdir()
    (tmp_path / "whisper/model.bin").touch()
    return tmp_path / "whisper"


@pytest.fixture
def prepare(local, tmp_path, capsys):
    """``prepare(options)`` runs data_prep.py -> (status, what it said)."""

    def run(**options: object) -> tuple[int, str]:
        options = {"model": SHIPPED, "data_dir": tmp_path / "data"} | options
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        return local("data_prep").main(words), capsys.readouterr().err

    return run


def pieces_of(local, texts: list[str], seconds: float = 4.0) -> list:
    piece = local("pieces").Piece
    return [piece(Path(f"{i}.wav"), 0.0, seconds, np.zeros(1), text) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    "lines",
    [
        "a.wav|One, two.\nb|raw|Three.",
        "a\tOne, two.\nb.WAV\tThree.",
        "\ufeffa One, two.\n\nb Three.",
        "b|Three.|\na|One, two.",
    ],
)
def test_transcripts_in_four_forms(local, tmp_path, lines):
    (tmp_path / "t").write_text(lines, "utf-8")
    assert local("pieces").read_transcripts(tmp_path / "t") == {"a": "One, two.", "b": "Three."}


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"a|One.\nb|\n", ":2: want"), (b"a|One.\na|Two.", ":2: 'a' comes twice"), (b"\xff\xfe", "UTF-8")],
)
def test_a_transcript_that_cannot_be_used(local, tmp_path, content, line):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(UserError, match="--transcripts") as error:
        local("pieces").read_transcripts(tmp_path / "t")
    assert line in str(error.value)


def test_a_long_recording_is_cut_in_its_silences(local, syllables):
    pieces = local("pieces")
    speech, silence = syllables(4.0, RATE), np.zeros(RATE // 2, np.float32)
    cuts = pieces.cuts_in_sound(np.concatenate([speech, silence] * 5), RATE)
    assert cuts[0][0] == 0 and [b for _, b in cuts[:-1]] == [a for a, _ in cuts[1:]], "nothing is lost"
    for _, end in cuts[:-1]:
        assert end % 4.5 == pytest.approx(4.2, abs=0.3), "in a silence"
    assert all(end - begin <= pieces.LONGEST for begin, end in cuts)


def test_without_a_pause_nothing_is_cut(local, syllables):
    noise = np.random.default_rng(0).normal(0, 0.1, 20 * RATE).astype(np.float32)
    assert local("pieces").cuts_in_sound(noise, RATE) == []


def test_a_transcript_is_cut_with_its_recording(local, tmp_path):
    """Two sentences, a pause between them: each piece has its own words."""
    from latent_tts.model_dir import load_aligner

    pieces = local("pieces")
    aligner, symbols = load_aligner(SHIPPED)
    lines = (CORPUS / "19/227/19-227.trans.txt").read_text().splitlines()
    utts = [line.split(" ", 1) for line in lines[:2]]
    wavs = [audio.read(CORPUS / f"19/227/{utt}.opus", RATE)[0][: 16 * RATE] for utt, _ in utts]
    audio.write(tmp_path / "both.wav", np.concatenate([wavs[0], np.zeros(RATE, np.float32), wavs[1]]), RATE)
    text = " ".join(text.capitalize() + "." for _, text in utts)
    found = list(pieces.Cutter(aligner, symbols, RATE).pieces(tmp_path / "both.wav", text))
    assert len(found) >= 3 and all(0 < piece.seconds <= pieces.LONGEST for piece in found)
    words = " ".join(piece.text for piece in found).lower().replace(".", "").split()
    assert set(words) <= set(text.lower().replace(".", "").split()) and len(words) > 20
    seam = len(wavs[0]) / RATE + 0.5
    assert any(abs(piece.end - seam) < 0.5 for piece in found), "the second between them is where it is cut"


def test_held_out_sentences_are_said_nowhere_else(local):
    said = [f"Sentence of the number {i}." for i in range(60)] + ["This one comes quite often."] * 20
    splits = local("data_prep").divided(pieces_of(local, said), 10, random.Random(0))
    texts = {name: [piece.text for piece in split] for name, split in splits.items()}
    assert len(texts["test"]) == 10 and not set(texts["test"]) & {*texts["train"], *texts["valid"]}
    assert sum(map(len, texts.values())) == 80 and 8 <= len(texts["valid"]) <= 9
    again = local("data_prep").divided(pieces_of(local, said), 10, random.Random(0))
    assert [piece.text for piece in again["test"]] == texts["test"]


def test_too_few_sentences_to_hold_out(local):
    with pytest.raises(UserError, match="record more"):
        local("data_prep").divided(pieces_of(local, ["Always the same sentence."] * 50), 10, random.Random(0))


def test_a_trial_never_has_its_own_recording_as_reference(local, tmp_path):
    from latent_tts.data.kaldi import Entry

    entries = [Entry(f"voice-{i}", "voice", tmp_path / f"{i}.flac", f"Text {i}.", 4.0) for i in range(4)]
    trials = local("data_prep").trials_of(entries)
    assert len({trial.id for trial in trials}) == 8 and {t.text for t in trials} == {e.text for e in entries}
    assert all(trial.text != trial.reference_text for trial in trials)


def test_unusable_recordings_are_listed_and_too_few_are_one_line(prepare, whisper, tmp_path, reference, syllables):
    """Noise, clipping, a broken file, a text that is not said: left out by name; what is left is not enough."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    good, _ = audio.read(reference, RATE)
    rng = np.random.default_rng(0)
    audio.write(folder / "noisy.wav", good + rng.normal(0, 0.05, len(good)).astype(np.float32), RATE)
    audio.write(folder / "clipped.wav", np.clip(30 * good, -1, 1), RATE)
    audio.write(folder / "other.wav", good, RATE)
    (folder / "broken.wav").write_bytes(b"RIFF")
    audio.write(folder / "good.wav", good, RATE)
    text = reference.with_suffix(".txt").read_text().strip()
    told = dict.fromkeys(("noisy", "clipped", "good"), text) | {"other": "Rhubarb cake, yes?", "lost": "Gone."}
    (tmp_path / "texts").write_text("".join(f"{name}|{text}\n" for name, text in told.items()))
    status, said = prepare(recordings=folder, transcripts=tmp_path / "texts", whisper=whisper)
    *listed, last = said.splitlines()
    assert status == 2 and last.startswith("data_prep: error: 0.1 minutes of usable speech, 5 pieces left out")
    reasons = {"noisy": "is noisy", "clipped": "is clipped", "other": "does not fit", "broken": "not audio"}
    for name, reason in {**reasons, "lost": "no recording"}.items():
        assert any(line.startswith(f"left out: {name}") and reason in line for line in listed), (name, said)
    assert (tmp_path / "data/left_out.txt").read_text().count("\n") == 5
    assert not (tmp_path / "data/trials_test.tsv").exists()


def test_another_speaker_is_found(local):
    """Of recordings of one speaker and one of another, the other one."""
    from types import SimpleNamespace

    data_prep = local("data_prep")
    paths = [*sorted(CORPUS.glob("19/*/*.opus"))[:4], *CORPUS.glob("3699/*/*.opus")]
    pieces = [data_prep.Piece(path, 0.0, 6.0, audio.read(path, RATE)[0][: 6 * RATE], "") for path in paths]
    checks = data_prep.Checks(SimpleNamespace(min_likeness=0.65), SimpleNamespace(rate=RATE))
    assert checks.another_voice(pieces) == {4}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"recordings": "nowhere"}, "--recordings nowhere: no such folder"),
        ({"recordings": "empty"}, "--recordings empty: no sound file in it"),
        ({"recordings": "empty", "whisper": "empty"}, "empty: no recogniser there"),
        ({"recordings": "empty", "transcripts": "none"}, "--transcripts none: not a readable"),
        ({"recordings": "empty", "model": "empty"}, "empty: the model is incomplete"),
    ],
)
def test_wrong_options_are_one_line(prepare, whisper, tmp_path, monkeypatch, options, line):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    status, said = prepare(**({"whisper": whisper} | options))
    assert status == 2 and said.startswith("data_prep: error: ") and line in said and said.count("\n") == 1


def test_run_sh_says_what_it_lacks():
    done = subprocess.run([RECIPE / "run.sh", "--recordings", "x"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "run.sh: error: give --whisper; --help says what it is\n")


def score(wrong: list[int], similarity: list[float]) -> dict:
    """A score of sentences of ten words."""
    rows = [
        {"text": " ".join(["word"] * 9 + [chr(97 + i)]), "wer": bad / 10, "similarity": alike}
        for i, (bad, alike) in enumerate(zip(wrong, similarity))
    ]
    return {"each": rows}


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (([1] * 20, [0.70] * 20), ([1] * 20, [0.75] * 20), True),
        (([1] * 20, [0.70] * 20), ([2] * 20, [0.75] * 20), False),  # a better voice that reads worse
        (([2] * 20, [0.70] * 20), ([1] * 20, [0.70] * 20), True),
        (([2] * 20, [0.70] * 20), ([1] * 20, [0.65] * 20), False),
        (([1] * 20, [0.70] * 20), ([1] * 20, [0.90] * 9 + [0.60] * 11), False),  # not beyond doubt
        (([1] * 20, [0.70] * 20), ([1] * 20, [0.70] * 20), False),
    ],
)
def test_better_is_beyond_doubt_and_costs_nothing(local, before, after, better):
    judge = local("keep_if_better")
    assert judge.is_better(judge.differences(score(*before), score(*after)), margin=0.02) is better


def test_scores_of_different_trials_are_refused(local):
    judge = local("keep_if_better")
    with pytest.raises(UserError, match="different trials"):
        judge.differences(score([1] * 3, [0.7] * 3), score([1] * 4, [0.7] * 4))


@pytest.mark.slow
@pytest.mark.skipif("WHISPER_DIR" not in os.environ, reason="set WHISPER_DIR to a folder of tools/get_whisper.sh")
def test_one_command_from_recordings_to_a_model(tmp_path):
    """A handful of steps on one speaker of egs/mini, without transcripts: whatever they bring, it is said and nothing
    is lost; where the model is kept it speaks by itself."""
    work = tmp_path / "work"
    command = [RECIPE / "run.sh", "--recordings", CORPUS / "19", "--whisper", os.environ["WHISPER_DIR"]]
    command += ["--work_dir", work, "--python", sys.executable, "--data_prep_options", "--least_minutes 1"]
    fit = "--task.training.steps 4 --fit.validate_every 2 --fit.progress false"
    command += ["--fit", fit, "--synthesis", "--steps 2"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode in (0, 4), done.stderr
    assert "On the same" in done.stdout and (work / "check.md").read_text() in done.stdout
    better = json.loads((work / "check.json").read_text())["better"]
    assert better is (done.returncode == 0) is (work / "model").exists()
    trained = work / "exp/finetune/model"
    assert (trained / "codec.safetensors").read_bytes() == (SHIPPED / "codec.safetensors").read_bytes()
    assert (trained / "lm.safetensors").read_bytes() != (SHIPPED / "lm.safetensors").read_bytes()
    if better:
        path, text = own_reference(work / "model")
        tts = TTS.from_dir(work / "model")
        assert len(tts.speak("Hello.", tts.clone(path, text))) > 0
    assert "valid/loss" in (work / "exp/log/train_finetune.log").read_text()
