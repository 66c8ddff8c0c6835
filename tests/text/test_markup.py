"""Marks, dialogues and SSML: what they mean, what is refused, and that no flood of them takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_tts.errors import UserError
from latent_tts.text.markup import LONGEST_SILENCE, TURN_PAUSE, Part, read_dialogue, read_marks
from latent_tts.text.ssml import is_ssml, read_ssml


class TestMarks:
    @pytest.mark.parametrize(
        "text, parts",
        [
            ("Hello there.", [Part("Hello there.")]),
            ("As in [1] and [sic]. [see: below]", [Part("As in [1] and [sic]. [see: below]")]),
            ("[https://x.org] is it", [Part("[https://x.org] is it")]),
            ("One.[pause:0.5s]Two.", [Part("One."), Part("Two.", pause=0.5)]),
            ("One. [pause:300ms] [PAUSE:.2s] Two.", [Part("One."), Part("Two.", pause=0.5)]),
            ("[rate:0.9] Slow [rate:1] even", [Part("Slow", rate=0.9), Part("even")]),
            ("[voice:anna]Hi.[voice:]Hello.", [Part("Hi.", "anna"), Part("Hello.")]),
            ("Bye.[pause:1s]", [Part("Bye."), Part("", pause=1.0)]),
        ],
    )
    def test_a_text_with_marks(self, text, parts):
        assert read_marks(text) == parts

    @pytest.mark.parametrize(
        "text, complaint",
        [
            ("Hi [pause:]", "pause of ''"),
            ("Hi [pause:1]", "pause of '1'"),
            ("Hi [pause:11s]", "pause of"),
            ("Hi [pause:-1s]", "pause of"),
            ("Hi [pause:nans]", "pause of"),
            ("Hi [rate:0]", "rate of"),
            ("Hi [rate:inf]", "rate of"),
            ("Hi [voice:../../etc/passwd]", "not the name of a voice"),
            ("Hi [voice:a b]", "not the name of a voice"),
            ("Hi [pitch:2]", "not a mark"),
            ("Hi [pause:0.5s there", "not complete"),
            ("[pause:1s]", "no words"),
            ("Hi" + "[pause:10s]" * 61, "pauses last"),
        ],
    )
    def test_what_is_refused(self, text, complaint):
        with pytest.raises(UserError, match=complaint):
            read_marks(text)


class TestDialogue:
    def test_turns(self):
        text = "# a play\nanna: Hello.\n\nHow are you?\nbob-2:Fine. [pause:1s][rate:2]Bye.\nanna: It is 5:30."
        assert read_dialogue(text) == [
            Part("Hello.\nHow are you?", "anna"),
            Part("Fine.", "bob-2", pause=TURN_PAUSE),
            Part("Bye.", "bob-2", 2.0, 1.0),
            Part("It is 5:30.", "anna", pause=TURN_PAUSE),
        ]

    @pytest.mark.parametrize(
        "text, complaint",
        [
            ("Hello.", "line 1"),
            ("\n# x\n: Hello.", "line 3"),
            ("anna:", "no words"),
            ("anna: Hi [voice:bob] there", "new speaker"),
        ],
    )
    def test_what_is_refused(self, text, complaint):
        with pytest.raises(UserError, match=complaint):
            read_dialogue(text)


class TestSSML:
    @pytest.mark.parametrize(
        "text, parts",
        [
            ("<speak>Hello.</speak>", [Part("Hello.")]),
            (
                '<speak version="1.1" xml:lang="en-US">One.<break time="500ms"/>Two &amp; three.</speak>',
                [Part("One."), Part("Two & three.", pause=0.5)],
            ),
            ("<speak><p><s>A one.</s><s>A two.</s></p></speak>", [Part("A one."), Part("A two.")]),
            (
                '<speak>A <prosody rate="80%">b <prosody rate="50%">c</prosody></prosody> d</speak>',
                [Part("A"), Part("b", rate=0.8), Part("c", rate=0.4), Part("d")],
            ),
            ('<speak><voice name="anna">Hi.</voice> Yes.</speak>', [Part("Hi.", "anna"), Part("Yes.")]),
            ('<speak>The <sub alias="World Wide Web">WWW</sub> is.</speak>', [Part("The World Wide Web is.")]),
            ('<speak>Bye.<break strength="strong"/></speak>', [Part("Bye."), Part("", pause=0.7)]),
        ],
    )
    def test_a_document(self, text, parts):
        assert is_ssml(text) and read_ssml(text) == parts

    @pytest.mark.parametrize(
        "text, complaint",
        [
            ("<speak>Hello.", "line 1"),
            ("<speak>a\n<emphasis>b</emphasis></speak>", "line 2: <emphasis> cannot be done"),
            ('<speak><prosody pitch="high">a</prosody></speak>', "'pitch' of <prosody>"),
            ("<speak><prosody>a</prosody></speak>", "wants rate"),
            ('<speak><prosody rate="1e9%">a</prosody></speak>', "percentage"),
            ('<speak><prosody rate="1%">a</prosody></speak>', "rate of"),
            ('<speak><break time="1h"/>a</speak>', "pause of"),
            ('<speak><voice name="../x">a</voice></speak>', "not the name"),
            ('<speak xml:lang="de">a</speak>', "only English"),
            ("<p>a</p>", "encloses"),
            ("<speak><speak>a</speak></speak>", "encloses"),
            ('<speak><sub alias="a"><s>b</s></sub></speak>', "holds no other"),
            ("<speak></speak>", "no words"),
            ("<speak>" + "<p>" * 40 + "a" + "</p>" * 40 + "</speak>", "deep"),
            ('<!DOCTYPE x [<!ENTITY a "b">]><speak>&a;</speak>', "declarations"),
            ("<speak>\x00</speak>", "line 1"),
        ],
    )
    def test_what_is_refused(self, text, complaint):
        with pytest.raises(UserError, match=complaint) as refused:
            read_ssml(text)
        assert "\n" not in str(refused.value)


PIECES = ["[pause:0.5s]", "[rate:1.1]", "[voice:a]", "[voice:]", "[", "]", ":", "a: b", "\n", "# ", "Hi. ", "<", "\x00"]
XML = ["<speak>", "</speak>", "<p>", "</p>", '<break time="1s"/>', '<sub alias="x">', "</sub>", "Hi. ", "&amp;", "&x;"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=30).map("".join))
def test_any_text_is_read_or_refused(text):
    for read in (read_marks, read_dialogue, read_ssml):
        try:
            parts = read(text)
        except UserError as error:
            assert str(error)
        else:
            assert any(part.text for part in parts)
            assert 0 <= sum(part.pause for part in parts) <= LONGEST_SILENCE


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(XML), max_size=12).map(lambda inner: "<speak>" + "".join(inner) + "</speak>"))
def test_any_document_is_read_or_refused(text):
    try:
        assert any(part.text for part in read_ssml(text))
    except UserError as error:
        assert str(error)


@pytest.mark.parametrize("flood", ["[pause:", "[rate:1]", "[rate:1]a", "[voice:a]a ", "[[[[", "a: b\n", "::::", "[a:"])
def test_a_flood_is_read_in_linear_time(flood):
    """A megabyte takes seconds at most, whatever it holds."""
    before = time.process_time()
    for read in (read_marks, read_dialogue):
        try:
            read(flood * (2**20 // len(flood)))
        except UserError:
            continue
    assert time.process_time() - before < 8
