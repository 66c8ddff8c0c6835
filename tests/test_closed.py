"""egs/closed's corpus: lines of the same places, and more lines from the places of the recorded ones."""

from __future__ import annotations

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.data.audio_pack import AudioPack, pack_audio
from latent_tts.data.kaldi import Entry, write_data_dir

RATE, PLACE = 16000, 0.25  # Hz; seconds of each place


@pytest.fixture
def recombine(local_of):
    return local_of("closed")("recombine")


def tone(line: int, place: int) -> float:
    """Hz of a place of a line: no two are alike."""
    return 400.0 + 80 * place + 700 * line


@pytest.fixture
def pack(tmp_path) -> AudioPack:
    """Three lines, each a row of eight tones."""
    time, entries = np.arange(round(PLACE * RATE)) / RATE, []
    for line in range(3):
        wav = np.concatenate([0.3 * np.sin(2 * np.pi * tone(line, place) * time) for place in range(8)])
        audio.write(tmp_path / f"{line}.wav", wav.astype(np.float32), RATE)
        entries.append(Entry(f"s{line}", "s", tmp_path / f"{line}.wav", "A line.", 8 * PLACE))
    write_data_dir(tmp_path / "data", entries)
    return pack_audio(tmp_path / "data", tmp_path / "pack", RATE)


def heard(wav: np.ndarray, place: int) -> float:
    """Hz of the middle of a place."""
    begin = round((place + 0.2) * PLACE * RATE)
    piece = wav[begin : begin + round(0.6 * PLACE * RATE)]
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 16 * len(piece)))
    return float(spectrum.argmax() * RATE / (16 * len(piece)))


def test_places_come_from_their_sources(recombine, pack):
    """Each lasts and sounds as it did where it was recorded, whatever stands before it."""
    edges = tuple(place * PLACE for place in range(9))
    lines = [recombine.Sentence(f"s{i}", ("w",) * 8, edges) for i in range(3)]
    sources = [lines[i] for i in (0, 2, 2, 1, 0, 0, 1, 2)]
    wav = recombine.spliced(pack, [sources, sources])
    fade = round(recombine.FADE * RATE)
    assert len(wav) == 2 * len(pack["s0"]) + fade and np.abs(np.diff(wav)).max() < 0.7, "no jump"
    for place in range(16):
        source = int(sources[place % 8].utt[1])
        assert heard(wav[fade:], place) == pytest.approx(tone(source, place % 8), abs=2)


def test_a_pair_is_two_sentences_and_an_impossible_one_is_left_out(recombine):
    text = "The small king sees my brown bird at night. The tall king sees my brown bird today."
    onsets = [0.3 * word for word in range(17)]
    first, second = recombine.sentences_of("u", text, onsets, 5.2)
    assert first.words[0] == "the" and first.words[-1] == "at night" and second.words[-1] == "today"
    assert first.edges == tuple(onsets[:8]) + (onsets[9],), "the last place holds two words"
    assert second.edges == tuple(onsets[9:]) + (5.2,)
    onsets[10] = onsets[11] - 0.01  # "tall" in 10 ms
    assert [found.words[1] for found in recombine.sentences_of("u", text, onsets, 5.2)] == ["small"]


def test_words_begin_in_the_quiet_behind_their_onsets(recombine):
    wav = np.ones(RATE, np.float32)
    wav[round(0.46 * RATE) : round(0.48 * RATE)] = 0  # the aligner said 0.42
    onsets = recombine.word_onsets(wav, RATE, ["_", "ð", "ə", "_", "k", "."], [0.0, 0.1, 0.2, 0.4, 0.42, 0.9])
    assert len(onsets) == 2 and 0.46 <= onsets[1] <= 0.48


def test_new_lines_are_new_and_hang_on_their_numbers_alone(recombine, pack, tmp_path):
    edges = tuple(place * PLACE for place in range(9))
    lines = [recombine.Sentence(f"s{i}", tuple(f"{i}{place}" for place in range(8)), edges) for i in range(3)]
    taken = {recombine.words_of([line] * 8) for line in lines}

    def texts(count: int, seed: int) -> list[str]:
        speakers = {"a": lines[:2], "b": lines[1:]}
        return [entry.text for entry in recombine.recombined(pack, speakers, taken, tmp_path, count, seed)]

    made = texts(12, 0)
    sentences = [sentence for text in made for sentence in recombine.separate(text)]
    assert len(sentences) == 12 + 2 and [len(recombine.separate(text)) for text in made[6:8]] == [2, 2]
    assert not taken & set(sentences) and len(set(sentences)) > 8
    assert not any(word.startswith("2") for text in made[::2] for word in text.lower().split()), "a never says these"
    assert texts(5, 0) == made[:5] and texts(12, 1) != made
