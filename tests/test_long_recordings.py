"""Recordings of minutes are cut at pauses and read by a recogniser, in parts or at once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latent_tts import audio
from latent_tts.data.kaldi import read_segments, write_table

pytest.importorskip("silero_vad")
ROOT = Path(__file__).parent.parent
SPEAKERS = ROOT / "egs/mini/corpus/LibriSpeech/train-clean-100"
WHISPER = os.environ.get("LATENT_TTS_WHISPER", "")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """wav.scp of three readers, each a row of real utterances with a pause of 2 s between any two."""
    folder = tmp_path_factory.mktemp("long")
    for spk in ("19", "26", "27"):
        utts = [audio.read(path)[0] for path in sorted((SPEAKERS / spk).glob("*/*.opus"))[:4]]
        pause = np.random.default_rng(0).normal(0, 1e-4, 2 * 16000).astype(np.float32)
        audio.write(folder / f"{spk}.flac", np.concatenate([part for utt in utts for part in (utt, pause)]), 16000)
    write_table(folder / "wav.scp", {f"{spk}-b-1": f"{spk}.flac" for spk in ("19", "26", "27")})
    return folder / "wav.scp"


@pytest.fixture
def segment(stage, tmp_path):
    """``segment(scp, ...)`` runs the stage -> its status."""
    return lambda scp, *options: stage("segment", "--scp", scp, "--out", tmp_path / "segments", *options)


class TestSegments:
    def test_pieces_are_of_3_to_20_s_and_hold_the_speech(self, recordings, segment, tmp_path, capsys):
        assert segment(recordings) == 0
        pieces = read_segments(tmp_path / "segments")
        assert {name for name, _ in pieces.values()} == {"19-b-1", "26-b-1", "27-b-1"}
        for utt, (name, (begin, end)) in pieces.items():
            assert 3 <= end - begin <= 20 and utt == f"{name}-{round(100 * begin):07d}-{round(100 * end):07d}"
        kept = sum(end - begin for _, (begin, end) in pieces.values())
        spoken = sum(audio.seconds(recordings.parent / f"{spk}.flac") - 8 for spk in ("19", "26", "27"))
        assert 0.85 * spoken < kept < spoken + 1
        assert "segment: 3 recordings, 0 bad ones left out" in capsys.readouterr().err

    def test_no_word_is_cut(self, recordings, segment, tmp_path):
        """Both ends of every piece lie in silence: 20 ms there are 20 dB under the piece."""
        assert segment(recordings) == 0
        for name, (begin, end) in read_segments(tmp_path / "segments").values():
            wav, rate = audio.read(recordings.parent / f"{name.split('-')[0]}.flac", span=(begin, end))
            levels = audio.frame_levels(wav, rate)
            assert max(levels[0], levels[-2]) < np.percentile(levels, 95) - 20

    def test_parts_are_the_whole(self, recordings, segment, tmp_path, capsys):
        assert segment(recordings) == 0
        whole = (tmp_path / "segments").read_bytes()
        (tmp_path / "segments").unlink()
        assert segment(recordings, "--merge", 2) == 2
        assert "segments.1.of.2 is one" in capsys.readouterr().err
        for number in (1, 2):
            assert segment(recordings, "--part", f"{number}/2") == 0
        first = tmp_path / "segments.1.of.2"
        before = first.stat().st_mtime_ns
        assert {line.split()[1] for line in first.read_text().splitlines()} == {"19-b-1", "27-b-1"}
        assert segment(recordings, "--part", "1/2") == 0 and first.stat().st_mtime_ns == before
        assert segment(recordings, "--merge", 2) == 0
        assert (tmp_path / "segments").read_bytes() == whole
        assert [path.name for path in tmp_path.iterdir()] == ["segments"]

    def test_what_cannot_be_cut_is_listed_and_counted(self, recordings, segment, tmp_path, capsys):
        (tmp_path / "broken.flac").write_bytes((recordings.parent / "19.flac").read_bytes()[:9000])
        audio.write(tmp_path / "hum.wav", 0.1 * np.sin(np.arange(16000 * 5) / 20), 16000)
        sounds = {"19-b-1": recordings.parent / "19.flac", "19-b-2": tmp_path / "broken.flac"}
        sounds |= {"19-b-3": tmp_path / "hum.wav", "19-b-4": tmp_path / "none.flac"}
        write_table(tmp_path / "wav.scp", {name: str(path) for name, path in sounds.items()})
        assert segment(tmp_path / "wav.scp") == 2
        said = capsys.readouterr().err.splitlines()
        assert sum(line.startswith("bad ") for line in said) == 3
        assert any(line.startswith("bad 19-b-3: no 3 s of speech in it") for line in said)
        assert said[-1].startswith("segment: error: 3 of 4 recordings are bad (more than 5%), 19-b-2 is one")
        assert not (tmp_path / "segments").exists()
        assert segment(tmp_path / "wav.scp", "--max_bad", "0.8") == 0


@pytest.fixture(scope="module")
def cut():
    """The function that joins and parts spans of speech."""
    import importlib
    import sys

    sys.path.insert(0, str(ROOT / "recipes"))
    try:
        return importlib.import_module("segment").cut
    finally:
        sys.path.pop(0)


@given(st.lists(st.tuples(st.floats(0.1, 3), st.floats(0.3, 9)), max_size=40))
def test_pieces_tile_what_they_keep(cut, steps):
    """Each begins and ends with speech, holds no long pause, and overlaps no other; no speech is lost for nothing."""
    ends = np.cumsum([length for step in steps for length in step]).reshape(-1, 2).tolist()
    pieces, kept = cut(ends, 3.0, 20.0, 1.5), set()
    for begin, end in pieces:
        inside = [span for span in ends if span[0] >= begin - 1e-9 and span[1] <= end + 1e-9]
        assert 3 <= end - begin <= 20 and inside[0][0] == pytest.approx(max(begin + 0.1, inside[0][0]))
        assert inside[-1][1] == pytest.approx(end - 0.1)
        assert all(after[0] - before[1] <= 1.5 for before, after in zip(inside, inside[1:]))
        assert not kept & set(map(tuple, inside))
        kept |= set(map(tuple, inside))
    assert all(tuple(span) in kept for span in ends if 3 <= span[1] - span[0] <= 19)


def test_speech_without_a_pause_is_no_piece(cut):
    assert cut([(0.0, 25.0)], 3.0, 20.0, 1.5) == [] == cut([], 3.0, 20.0, 1.5)
    assert cut([(5.0, 15.0), (15.2, 25.0)], 3.0, 20.0, 1.5) == [(4.9, 15.1), (15.1, pytest.approx(25.1))]


@pytest.mark.skipif(not WHISPER, reason="LATENT_TTS_WHISPER names no folder of a recogniser (tools/get_whisper.sh)")
class TestTranscripts:
    @pytest.fixture
    def data(self, recordings, tmp_path) -> Path:
        """A directory of four stretches, three of them speech."""
        write_table(tmp_path / "data/wav.scp", {"19-b-1": str(recordings.parent / "19.flac"), "20-b-1": "none.flac"})
        rows = {"19-a": "19-b-1 0 6", "19-b": "19-b-1 6 12", "19-c": "19-b-1 12 15"}
        write_table(tmp_path / "data/segments", rows)
        return tmp_path / "data"

    def test_a_run_that_broke_off_goes_on(self, data, stage, tmp_path, capsys):
        """In parts or not the table is the same, and what was heard is not heard again."""
        options = ["--data_dir", data, "--whisper", WHISPER, "--out", tmp_path / "t.tsv"]
        assert stage("transcribe", *options) == 0
        whole = (tmp_path / "t.tsv").read_text()
        header, *rows = whole.splitlines()
        assert header == "utt\tavg_logprob\ttext" and [row.split("\t")[0] for row in rows] == ["19-a", "19-b", "19-c"]
        assert all(-2 < float(row.split("\t")[1]) < 0 and row.split("\t")[2] for row in rows)
        (tmp_path / "t.tsv").unlink()
        diary = tmp_path / ".t.tsv.1.of.2.begun"
        diary.write_text(f"{header}\n19-a\t-0.125\tKept.\n19-c\t-0.3\tHalf of a li")
        assert stage("transcribe", *options, "--part", "1/2") == stage("transcribe", *options, "--part", "2/2") == 0
        assert stage("transcribe", *options, "--merge", 2) == 0
        kept, *others = (tmp_path / "t.tsv").read_text().splitlines()[1:]
        assert kept == "19-a\t-0.125\tKept." and others == rows[1:] and not diary.exists()

    def test_what_cannot_be_read_is_listed_and_counted(self, data, stage, tmp_path, capsys):
        write_table(data / "segments", {"19-a": "19-b-1 0 6", "20-a": "20-b-1 0 1"})
        options = ["--data_dir", data, "--whisper", WHISPER, "--out", tmp_path / "t.tsv"]
        assert stage("transcribe", *options) == 2
        said = capsys.readouterr().err
        assert "bad 20-a: " in said and "1 of 2 are bad (more than 5%), 20-a is one" in said
        assert not (tmp_path / "t.tsv").exists()
