"""Trial lists: made the same way twice, never a speaker's own sentence, cut at a pause, read back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.data.kaldi import Entry
from latent_tts.errors import UserError
from latent_tts.evaluate.trials import (
    Trial,
    cut_reference,
    fresh_sentences,
    make_trials,
    pause_before,
    read_trials,
    write_trials,
)

RATE = 16000
ROOT = Path(__file__).parents[2]


def bursts(*spans: tuple[float, float], seconds: float) -> np.ndarray:
    """Noise within the spans, silence (-80 dBFS) elsewhere."""
    rng = np.random.default_rng(0)
    wav = rng.normal(0, 1e-4, round(seconds * RATE))
    for start, end in spans:
        wav[round(start * RATE) : round(end * RATE)] += rng.normal(0, 0.1, round((end - start) * RATE))
    return wav.astype(np.float32)


@pytest.fixture
def references(tmp_path):
    """Speakers a, b, c with one recording each: 4 s, 10 s with a pause at 6 s, 2 s."""
    made = []
    for spk, wav in (
        ("a", bursts((0, 4), seconds=4)),
        ("b", bursts((0, 5.8), (6.2, 10), seconds=10)),
        ("c", bursts((0, 2), seconds=2)),
    ):
        audio.write(tmp_path / f"{spk}.wav", wav, RATE)
        made.append(Entry(f"{spk}-1", spk, tmp_path / f"{spk}.wav", f"text of {spk}", len(wav) / RATE))
    return made


SENTENCES = [(spk, f"sentence {n} of {spk}") for spk in "abd" for n in range(4)]


def test_trials_are_the_same_twice_and_never_say_the_speakers_own_sentence(tmp_path, references):
    trials = make_trials(references, SENTENCES, 8, tmp_path)
    assert trials == make_trials(references[::-1], SENTENCES[::-1], 8, tmp_path)
    assert trials != make_trials(references, SENTENCES, 8, tmp_path, seed=1)
    assert [t.speaker for t in trials[:2]] in (["a", "b"], ["b", "a"])
    assert {t.speaker for t in trials} == {"a", "b"}  # c is too short to clone from
    assert len({t.id for t in trials}) == len({t.text for t in trials}) == 8
    assert not any(t.text.endswith(f"of {t.speaker}") for t in trials)


def test_a_long_reference_is_cut_at_its_pause_and_read_again(tmp_path, references):
    short, long = references[:2]
    assert cut_reference(short, tmp_path / "cut", 8.0) == (short.path, "text of a")
    heard = []
    path, text = cut_reference(long, tmp_path / "cut", 8.0, read=lambda wav: heard.append(wav) or "cut text")
    assert audio.seconds(path) == pytest.approx(6.0, abs=0.03) and text == "cut text"
    assert len(heard[0]) == pytest.approx(6.0 * 16000, abs=500)
    assert cut_reference(long, tmp_path / "cut", 8.0)[1] == ""


def test_the_last_of_several_pauses_is_taken_and_a_gap_in_a_word_is_none():
    assert pause_before(bursts((0, 4.5), (5, 6.4), (6.7, 9), seconds=9), RATE, 8.0) / RATE == pytest.approx(
        6.55, abs=0.03
    )
    gap = bursts((0, 5), (5.4, 7), (7.06, 9), seconds=9)
    assert pause_before(gap, RATE, 8.0) / RATE == pytest.approx(5.2, abs=0.03)
    only_gap = bursts((0, 7), (7.06, 9), seconds=9)
    assert pause_before(only_gap, RATE, 8.0) / RATE == pytest.approx(7.03, abs=0.03)
    assert 4.0 <= pause_before(bursts((0, 9), seconds=9), RATE, 8.0) / RATE <= 8.0


def test_sentences_are_fresh_each_once_and_of_the_wanted_length():
    entries = [
        Entry(f"s-{n}", "s", Path("x.wav"), text, 1.0)
        for n, text in enumerate(
            (
                "One two three four five.",
                "one two three, four five",
                "Too short here.",
                "Here are 5 words now.",
                "w " * 21,
            )
        )
    ]
    assert fresh_sentences(entries, seen=["here are five words NOW"]) == [("s", "One two three four five.")]


def test_too_little_to_make_trials_of_is_said(tmp_path, references):
    with pytest.raises(UserError, match="too few"):
        make_trials(references, SENTENCES[:3], 4, tmp_path)
    with pytest.raises(UserError, match="too few"):
        make_trials(references[2:], SENTENCES, 4, tmp_path)
    with pytest.raises(UserError, match="another speaker"):
        make_trials(references[:2], SENTENCES[:4], 2, tmp_path)


def test_one_speaker_says_what_is_in_other_recordings(tmp_path, references):
    pool = [*SENTENCES[:2], ("a", "text of a")]
    trials = make_trials(references[:1], pool, 2, tmp_path)
    assert sorted(trial.text for trial in trials) == ["sentence 0 of a", "sentence 1 of a"]
    with pytest.raises(UserError, match="is left for a"):
        make_trials(references[:1], pool, 3, tmp_path)


def test_a_stretch_of_a_recording_becomes_a_reference(tmp_path, references):
    """Of that stretch alone, with its text where nothing of it is cut away."""
    stretch = replace(references[1], seconds=3.5, span=(2.0, 5.5), recording="b")
    (trial,) = make_trials([stretch], SENTENCES[:4], 1, tmp_path)
    assert trial.reference == tmp_path / "references/b-1.wav" and trial.reference_text == "text of b"
    whole, _ = audio.read(references[1].path)
    assert np.abs(audio.read(trial.reference)[0] - whole[2 * RATE : 5 * RATE + RATE // 2]).max() < 1e-3


def test_a_list_is_read_back_with_paths_from_its_folder(tmp_path, references):
    trials = make_trials(references, SENTENCES, 4, tmp_path)
    write_trials(tmp_path / "trials.tsv", trials)
    assert read_trials(tmp_path / "trials.tsv") == trials
    assert "\ta.wav\t" in (tmp_path / "trials.tsv").read_text()
    with pytest.raises(UserError, match="tab"):
        write_trials(tmp_path / "trials.tsv", [Trial("x", "a\tb", references[0].path, "a")])
    assert read_trials(tmp_path / "trials.tsv") == trials


@pytest.mark.parametrize(
    "line, message",
    [
        ("1\tsay\ta.wav\ta", ":3: want five columns"),
        ("0\tsay\ta.wav\ta\t", ":3: want an id of its own"),
        ("1\t\ta.wav\ta\t", ":3: want five columns"),
        ("1\tsay\tgone.wav\ta\t", ":3: no reference"),
    ],
)
def test_a_broken_line_is_named(tmp_path, references, line, message):
    path = tmp_path / "trials.tsv"
    path.write_text(f"id\ttext\treference\tspeaker\treference_text\n0\tsay\ta.wav\ta\t\n{line}\n")
    with pytest.raises(UserError, match=message):
        read_trials(path)
    path.write_text("id,text\n")
    with pytest.raises(UserError, match="must name the columns"):
        read_trials(path)


SEED_TTS = "u1|What a said.|a.wav|Say this.\r\nu2|What b said.|sub/b.wav|Say that.|gt.wav\n"
F5_TTS = "61-70968-0001\t3.1\tHe began.\t61-70968-0002\t4.2\tGive not so.\n"
VALL_E = "What a said.\ta.wav\tSay this.\tout/one/valle.wav\n"


def test_lists_of_others_are_known_by_their_shape(tmp_path):
    for name in ("a.wav", "sub/b.wav", "test-clean/61/70968/61-70968-0001.flac"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    path = tmp_path / "meta.lst"
    path.write_text(SEED_TTS)
    assert read_trials(path) == [
        Trial("u1", "Say this.", tmp_path / "a.wav", "a", "What a said."),
        Trial("u2", "Say that.", tmp_path / "sub/b.wav", "b", "What b said."),
    ]
    path.write_text(F5_TTS)
    prompt = tmp_path / "test-clean/61/70968/61-70968-0001.flac"
    assert read_trials(path, tmp_path / "test-clean") == [
        Trial("61-70968-0002", "Give not so.", prompt, "61", "He began.")
    ]
    path.write_text(VALL_E)
    assert read_trials(path) == [Trial("out_one_valle", "Say this.", tmp_path / "a.wav", "a", "What a said.")]


@pytest.mark.parametrize(
    "content, message",
    [
        (F5_TTS, ":1: its prompts are recordings of LibriSpeech; give"),
        (SEED_TTS.replace("a.wav", "gone.wav"), ":1: no reference"),
        ("u1|x|a.wav|Say.\nu1|x|a.wav|Say.\n", ":2: want an id of its own"),
        ("../u|x|a.wav|Say.\n", ":1: want an id of its own, without a slash"),
        ("u1|x|a.wav| \n", ":1: it has no id or no text"),
        ("u1|x|a.wav|Say.\nu2|a.wav|Say.\n", ":2: it has 3 cells"),
        ("u1|x|a.wav\n", "must name the columns"),
        ("\n \n", "holds no trial"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_broken_line_of_others_is_named(tmp_path, content, message):
    (tmp_path / "a.wav").touch()
    path = tmp_path / "meta.lst"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as refused:
        read_trials(path)
    assert "\n" not in str(refused.value)


def test_a_tool_makes_a_trial_list_of_one(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "meta.lst").write_text("u1|What a said.|a.wav|Say this.\n")

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(ROOT / "tools/import_trials.py"), *arguments]
        environment = {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert run("meta.lst", "trials.tsv").returncode == 0
    assert read_trials(tmp_path / "trials.tsv") == read_trials(tmp_path / "meta.lst")
    assert "\ta.wav\t" in (tmp_path / "trials.tsv").read_text()
    broken = run("gone.lst", "other.tsv")
    assert broken.returncode == 2 and broken.stderr.count("\n") == 1 and not (tmp_path / "other.tsv").exists()
