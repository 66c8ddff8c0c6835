"""The page of a score: what it shows, that it escapes, that its links lead somewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from latent_tts.evaluate.page import Words, alignment, write_page
from latent_tts.evaluate.report import BOOTSTRAP
from latent_tts.evaluate.trials import Trial

EVIL = "<script>alert('x')</script> & \"Co\""


class Page(HTMLParser):
    """The tags, addresses and text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.links, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data.strip())


def test_an_alignment_by_hand():
    assert list(alignment("The cat sat on the mat.", "now the cat sit on mat")) == [
        Words("insert", "", "now"),
        Words("equal", "the cat", "the cat"),
        Words("substitute", "sat", "sit"),
        Words("equal", "on", "on"),
        Words("delete", "the", ""),
        Words("equal", "mat", "mat"),
    ]


@pytest.fixture
def written(tmp_path):
    """A page of two utterances, one with hostile text and names that an address must quote."""
    wavs, out = tmp_path / "wa vs#", tmp_path / "out"
    for folder in (wavs, out / "pictures"):
        folder.mkdir(parents=True)
    trials = [Trial("a%1", EVIL, tmp_path / "ref?.wav", "<b>"), Trial("b", "Hi there.", tmp_path / "ref?.wav", "s")]
    for path in (tmp_path / "ref?.wav", wavs / "a%1.wav", wavs / "b.wav", out / "pictures/b.png"):
        path.touch()
    value = {"value": 0.25, "interval": [0.0, 0.5]}
    shared = {"seconds": 1.5, "wer": 0.5, "leak": 2, "similarity": 0.6}
    score = {
        **{"utterances": 2, "seconds": 3.0, "wer": value, "leak": value, "similarity": value, "dnsmos_ovrl": None},
        **{"similarity_xvector": value, "xvector_extractor": EVIL, "recogniser": "whisper-x", "extractor": "R"},
        **{"bootstrap": BOOTSTRAP, "synthesis": {"seed": 3}},
        "each": [{"id": t.id, "speaker": t.speaker, "text": t.text, "heard": "hi where", **shared} for t in trials],
    }
    write_page(out / "report.html", EVIL, score, trials, wavs, out / "pictures")
    return out, (out / "report.html").read_text("utf-8")


def test_texts_are_escaped_and_nothing_comes_from_elsewhere(written):
    _, text = written
    page = Page(text)
    assert page.tags.count("script") == 1 and page.tags.count("b") == len(["wer", "leak", "similarity", "x-vector"])
    assert "http" not in text
    assert any(EVIL in part for part in page.text)


def test_links_lead_to_the_files(written):
    out, text = written
    links = Page(text).links
    assert len(links) == 2 + 2 + 2  # two references, two sounds, one picture that is also a link
    assert all((out / unquote(link)).exists() for link in links)


def test_figures_words_and_instruments_are_shown(written):
    _, text = written
    page = Page(text)
    assert "25.0 [0.0, 50.0]" in page.text and "leaked words" in page.text
    assert "similarity (Resemblyzer)" in page.text and f"similarity ({EVIL})" in page.text
    assert "there" in page.text and "where" in page.text  # misread, marked by themselves
    assert "whisper-x" in page.text and "seed 3" in page.text and "50.0" in page.text and "DNSMOS" not in page.text
