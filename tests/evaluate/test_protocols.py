"""Trials from what a human said: where prompts are cut, whose they are, and that no word is lost or said twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.data.audio_pack import AudioPack
from latent_tts.data.kaldi import Entry
from latent_tts.errors import UserError
from latent_tts.evaluate.protocols import aligned_recordings, cross_trials, prefix_trials
from latent_tts.evaluate.trials import read_trials, write_trials
from latent_tts.text.normalize import normalize
from latent_tts.text.phonemes import Phonemizer
from latent_tts.text.symbols import SymbolTable

RATE = 16000
TEXTS = {  # a word takes 0.8 s and a pause of 0.2 s follows it: word k begins at second k
    "a-1": "Two men, and one dog ran home.",
    "a-2": "She sells cold tea — here, now.",
    "a-3": "Ten cats sat still.",
    "b-1": "He went out at 4 in May.",
    "c-1": "Oh no.",
}


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return [Entry(utt, utt[0], Path(f"{utt}.wav"), text, 9.0) for utt, text in TEXTS.items()]


@pytest.fixture
def recordings(tmp_path, entries):
    """Recordings whose sample at second s is s / 100."""
    phonemizer, spans, alignments, position = Phonemizer(), {}, {}, 0
    for entry in entries:
        phones = phonemizer(normalize(entry.text))
        words = [i for i, phone in enumerate(phones) if phone in SymbolTable.SEPARATORS]
        onsets = np.zeros(len(phones))
        for second, (begin, end) in enumerate(zip(words, words[1:])):
            onsets[begin + 1 : end] = second + 0.8 * np.arange(end - begin - 1) / (end - begin - 1)
            onsets[end] = second + 0.8
        alignments[entry.utt] = {"phones": phones, "onsets": onsets.tolist(), "score": -0.5}
        spans[entry.utt] = (position, (len(words) - 1) * RATE)
        position += spans[entry.utt][1]
    samples = np.concatenate([np.arange(length) / RATE / 100 for _, length in spans.values()])
    np.save(tmp_path / "samples.npy", np.round(samples * 32768).astype(np.int16))
    (tmp_path / "index.json").write_text(json.dumps({"sample_rate": RATE, "spans": spans}))
    return aligned_recordings(entries, AudioPack(tmp_path), alignments)


def seconds(path: Path) -> tuple[float, float]:
    """Where in its recording a file begins and ends."""
    wav, rate = audio.read(path)
    assert rate == RATE
    return 100 * float(wav[0]), 100 * float(wav[-1])


def test_words_keep_their_marks_and_times(recordings):
    said = {r.entry.utt: r for r in recordings}
    assert [word.label for word in said["a-2"].words] == ["She", "sells", "cold", "tea —", "here,", "now."]
    assert said["b-1"].text(3, 6) == "at four in" and said["a-2"].text(0, 6) == TEXTS["a-2"]
    third = said["a-1"].words[2]
    assert (third.begin, third.end) == pytest.approx((2.0, 2.8))
    assert [said["a-1"].boundary(k) for k in (0, 1, 7)] == pytest.approx([0, 0.9, 7])


def test_a_prefix_is_the_first_three_seconds_to_the_end_of_a_word(tmp_path, recordings):
    trials = {t.id: t for t in prefix_trials(recordings, 9, tmp_path / "list")}
    assert trials.keys() == {"a-1", "a-2", "b-1"}, "of a-3 too few words are left, c-1 is too short"
    trial = trials["a-1"]
    assert (trial.reference_text, trial.text, trial.speaker) == ("Two men, and", "one dog ran home.", "a")
    assert seconds(trial.reference) == pytest.approx((0, 2.9), abs=0.01)
    assert seconds(tmp_path / "list/recordings/a-1.wav") == pytest.approx((2.9, 7), abs=0.01)
    for trial in trials.values():
        assert f"{trial.reference_text} {trial.text}" == normalize(TEXTS[trial.id])
    write_trials(tmp_path / "list.tsv", list(trials.values()))
    assert read_trials(tmp_path / "list.tsv") == list(trials.values())
    assert "\tlist/references/a-1-begin.wav\t" in (tmp_path / "list.tsv").read_text()


def test_across_utterances_the_one_before_is_the_prompt(tmp_path, recordings):
    trials = {t.id: t for t in cross_trials(recordings, 9, tmp_path)}
    assert trials.keys() == {"a-1", "a-2", "a-3", "b-1"}
    prompts = {utt: trials[utt].reference_text for utt in ("a-1", "a-2", "a-3")}
    assert prompts == {"a-1": TEXTS["a-2"], "a-2": TEXTS["a-1"], "a-3": TEXTS["a-2"]}, "the first takes the next"
    assert all(trials[utt].text == TEXTS[utt] for utt in prompts)
    assert trials["a-2"].reference == tmp_path / "references/a-1.wav"
    assert seconds(tmp_path / "recordings/a-3.wav") == pytest.approx((0, 4), abs=0.01)
    half = trials["b-1"]
    assert (half.reference_text, half.text) == ("He went out at", "four in May."), "the only one is halved"
    assert seconds(half.reference) == pytest.approx((0, 3.9), abs=0.01)


def test_a_long_prompt_ends_with_a_word(tmp_path, recordings, monkeypatch):
    monkeypatch.setattr("latent_tts.evaluate.protocols.PROMPT", (3.0, 4.2))
    (trial,) = (t for t in cross_trials(recordings, 9, tmp_path) if t.id == "a-2")
    assert trial.reference_text == "Two men, and one"
    assert seconds(trial.reference) == pytest.approx((0, 3.9), abs=0.01)


def test_speakers_take_turns_and_lengths_are_kept(tmp_path, recordings):
    for make in (prefix_trials, cross_trials):
        first = make(recordings, 2, tmp_path)
        assert {t.speaker for t in first} == {"a", "b"} and first == make(recordings, 2, tmp_path)
        assert {t.id for t in make(recordings, 9, tmp_path, lengths=(6.5, 10))} == {"a-1", "b-1"}
        with pytest.raises(UserError, match="no aligned recording of 20 to 30 s"):
            make(recordings, 2, tmp_path, lengths=(20, 30))


def test_alignments_of_another_text_are_refused(recordings, entries):
    pack = recordings[0].pack
    other = {"a-1": {"phones": ["_", "h", "ˈaɪ", "."], "onsets": [0, 0.1, 0.2, 0.3]}}
    with pytest.raises(UserError, match="a-1: .* another text"):
        aligned_recordings(entries, pack, other)
