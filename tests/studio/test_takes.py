"""Takes are judged by what is in them; a bad one is spoken again and the best is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.frames import Sampling
from latent_tts.studio import judge as judging
from latent_tts.studio.judge import Judge, expected_seconds, longest_gap, longest_hold, problems
from latent_tts.studio.takes import Booth, seed_of_take
from latent_tts.tts import TTS, Spoken

QUICK = Sampling(steps=2, guidance=1.0)
SENTENCES = ["Hello there.", "How are you?", "No."]
FACTS = {"stop": "end", "length_ratio": 1.0, "silence": 0.3, "clipped": 0.0, "leak": 0, "clarity": 0.9, "wer": None}


@pytest.fixture(scope="session")
def judge(tts) -> Judge:
    return Judge(tts)


class TestJudge:
    @pytest.mark.parametrize(
        "change, found",
        [
            ({}, ()),
            ({"stop": "held"}, ("stop",)),
            ({"length_ratio": 0.2}, ("length",)),
            ({"length_ratio": 3.0}, ("length",)),
            ({"silence": 2.0}, ("silence",)),
            ({"clipped": 0.01}, ("clipping",)),
            ({"leak": 4}, ("leak",)),
            ({"clarity": 0.1}, ("unclear",)),
            ({"clarity": 0.1, "wer": 0.5}, ("words",)),
            ({"clarity": 0.1, "wer": 0.0}, ()),
        ],
    )
    def test_problems(self, change, found):
        assert problems(FACTS | change, silent=False) == found

    def test_a_recording_is_judged_as_what_it_says(self, model_folder):
        """The shipped judge on a recording: right text, wrong text, spoilt sounds."""
        tts = TTS.from_dir(model_folder)
        judge, wav = Judge(tts), audio.read(model_folder / "reference.flac", tts.sample_rate)[0]
        said = (model_folder / "reference.txt").read_text("utf-8")

        def report(text: str, wav: np.ndarray, speed: float = 1.0) -> judging.Report:
            phones = tuple(tts.phonemizer(text))
            begun = np.arange(1, len(phones) + 1)
            return judge(Spoken(text, phones, wav, begun, 0), speed)

        right, wrong = report(said, wav), report("Bubblegum and chewing tobacco.", wav)
        assert right.problems in ((), ("unclear",)) and right.leak == 0 and 0.6 < right.length_ratio < 1.9
        assert right.rank > wrong.rank and "unclear" in wrong.problems and wrong.worst_word in wrong.text
        gap = np.zeros(2 * tts.sample_rate, np.float32)
        assert "silence" in report(said, np.concatenate([wav[:24000], gap, wav[24000:]])).problems
        assert "clipping" in report(said, np.clip(20 * wav, -1, 1)).problems
        assert "silent" in report(said, 0 * wav).problems
        assert "length" in report(said, wav[:4000]).problems and "length" in report(said, wav, speed=3.0).problems

    def test_a_report_is_plain_json(self, tts, judge, voice):
        import json

        ((_, spoken),) = tts.say(["Hello there."], [voice], QUICK)
        about = judge(spoken).as_dict()
        assert json.loads(json.dumps(about)) == {**about, "problems": list(about["problems"])}
        assert about["seconds"] == round(len(spoken.wav) / tts.sample_rate, 3) and about["wer"] is None

    def test_a_pointer_that_stood_still(self):
        assert longest_hold(np.array([1, 1, 1, 2, 4, 4])) == 3 and longest_hold(np.array([0])) == 1
        assert longest_hold(np.array([-1, -1, -1])) == 0

    def test_expectations(self):
        assert expected_seconds(["_", "h", "ˈaɪ", "."]) == pytest.approx(0.42)
        assert expected_seconds("_ h ˈaɪ , j ˈuː .".split()) == pytest.approx(0.25 + 0.25 + 4 * 0.085)
        wav = np.concatenate([np.zeros(8000), np.ones(1600), np.zeros(16000), np.ones(1600), np.zeros(32000)])
        assert longest_gap(wav, 16000) == pytest.approx(1.0) and longest_gap(0 * wav, 16000) == 0.0


class TestBooth:
    def test_a_good_take_is_the_first(self, tts, judge, voice, monkeypatch):
        monkeypatch.setattr(judging, "problems", lambda facts, silent: ())
        monkeypatch.setattr(judging, "CLEAR", 0.0)
        takes = Booth(tts, judge, 3).say(SENTENCES, [voice] * 3, replace(QUICK, seed=(5, 6, 7)))
        plain = [spoken for _, spoken in sorted(tts.say(SENTENCES, [voice] * 3, replace(QUICK, seed=(5, 6, 7))))]
        assert [take.spoken.seed for take in takes] == [5, 6, 7] and {take.takes for take in takes} == {1}
        assert all(np.allclose(take.spoken.wav, spoken.wav, atol=1e-3) for take, spoken in zip(takes, plain))

    def test_the_best_of_bad_takes_is_kept(self, tts, judge, voice):
        """Babble never satisfies: each sentence is spoken three times, and no other take ranks higher."""
        takes = Booth(tts, judge, 3).say(SENTENCES, [voice] * 3, QUICK)
        for take, sentence in zip(takes, SENTENCES):
            assert take.report.problems and take.takes == 3 and take.spoken.text == sentence
            seeds = [seed_of_take(QUICK.seed, number) for number in (1, 2, 3)]
            others = [judge(dict(tts.say([sentence], [voice], replace(QUICK, seed=s)))[0]) for s in seeds]
            assert take.report.rank == pytest.approx(max(other.rank for other in others), abs=1e-3)

    def test_a_sentence_is_the_same_alone_and_in_a_batch(self, tts, judge, voice):
        booth = Booth(tts, judge, 2)
        together = booth.say(SENTENCES, [voice] * 3, QUICK)
        for take, sentence in zip(together, SENTENCES):
            (alone,) = booth.say([sentence], [voice], QUICK)
            assert alone.spoken.seed == take.spoken.seed
            assert np.allclose(alone.spoken.wav, take.spoken.wav, atol=1e-3)

    @pytest.mark.parametrize("count, rounds", [(1, 1), (3, 2), (5, 3)])
    def test_few_sentences_are_drawn_together(self, tts, judge, voice, monkeypatch, count, rounds):
        """And chosen as if one by one: three takes in as few rounds as there is room for."""
        called, say = [], tts.say
        monkeypatch.setattr(tts, "say", lambda sentences, *rest: called.append(len(sentences)) or say(sentences, *rest))
        takes = Booth(tts, judge, 3).say(["No."] * count, [voice] * count, replace(QUICK, seed=tuple(range(count))))
        assert len(called) == rounds and sum(called) == 3 * count and {take.takes for take in takes} == {3}

    def test_the_last_seed_has_a_successor(self, tts, judge, voice):
        (take,) = Booth(tts, judge, 2).say(["No."], [voice], replace(QUICK, seed=2**63 - 1))
        assert take.takes == 2 and take.spoken.seed in (2**63 - 1, seed_of_take(2**63 - 1, 2))

    def test_what_is_refused(self, tts, judge):
        for takes in (0, 21):
            with pytest.raises(UserError, match="takes is"):
                Booth(tts, judge, takes)
        with pytest.raises(UserError, match="need a judge"):
            Booth(tts, None, 2)
