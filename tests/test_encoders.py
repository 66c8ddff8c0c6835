"""Sound to bytes piece by piece."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.encoders import FORMATS, FileEncoder, WavEncoder, adts_seconds
from latent_tts.errors import UserError


def pieces(name: str, wav: np.ndarray, rate: int, size: int) -> list[bytes]:
    encoder = FORMATS[name][0](rate)
    return [*(encoder.encode(wav[i : i + size]) for i in range(0, len(wav), size)), encoder.finish()]


@pytest.mark.parametrize("rate", [16000, 22050])
@pytest.mark.parametrize("name", FORMATS)
def test_the_size_of_pieces_does_not_matter(name, rate, syllables):
    wav = syllables(1.5, rate)
    small, large = (pieces(name, wav, rate, size) for size in (640, 10000))
    if name == "opus":  # a file of Opus has a random serial number
        small, large = ([audio.read(io.BytesIO(b"".join(p)))[0].tobytes()] for p in (small, large))
    assert b"".join(small) == b"".join(large)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"flac"}))
def test_bytes_come_before_the_end(name, syllables):
    made = pieces(name, syllables(4.0), 16000, 1280)
    first = next(i for i, piece in enumerate(made) if len(piece) > 500)
    assert first < len(made) / 2


def test_a_flac_knows_its_length(syllables):
    wav, rate = audio.read(io.BytesIO(b"".join(pieces("flac", syllables(2.0), 16000, 1280))))
    assert len(wav) == 32000 and rate == 16000
    assert np.abs(wav - syllables(2.0)).max() < 1e-4


def test_nothing_but_an_end():
    for name, (make, _) in FORMATS.items():
        assert isinstance(make(16000).finish(), bytes), name
    assert WavEncoder(16000).finish() == audio.endless_wav_header(16000)


def test_another_format_of_files(syllables):
    encoder = FileEncoder(16000, ".ogg")
    content = encoder.encode(syllables(2.0)) + encoder.finish()
    assert len(audio.read(io.BytesIO(content))[0]) == 32000


def test_seconds_of_aac(syllables):
    """Each piece is whole frames; together they are the sound and the encoder's delay."""
    seconds = [adts_seconds(piece) for piece in pieces("aac", syllables(2.0), 16000, 16000)]
    assert seconds == pytest.approx([round(s * 16000 / 1024) * 1024 / 16000 for s in seconds])
    assert 2.0 <= sum(seconds) < 2.2 and min(seconds) > 0.01 and adts_seconds(b"") == 0


def test_aac_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match="PyAV"):
        FORMATS["aac"][0](16000)
