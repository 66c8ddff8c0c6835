"""Recordings that cannot be used are left out and counted, later stages live without them, and no batch is silent."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny import tiny_codec

from latent_tts.data.audio_pack import AudioPack, CropBatches, pack_audio
from latent_tts.data.frame_pack import FramePack
from latent_tts.data.kaldi import Entry, write_data_dir
from latent_tts.data.phone_batches import PhoneBatches
from latent_tts.errors import UserError
from latent_tts.model_dir import save_part

RATE = 16000
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def data_dir(tmp_path, syllables):
    """``data_dir(good, **bad)`` is a data directory of ``good`` recordings and of bad ones, made of their samples."""

    def make(good: int, **bad: np.ndarray) -> Path:
        sounds = {f"ann-{i:02d}": syllables(1.5 + 0.01 * i) for i in range(good)}
        entries = []
        for utt, wav in (sounds | {f"bob-{name}": wav for name, wav in bad.items()}).items():
            soundfile.write(tmp_path / f"{utt}.wav", wav, RATE, subtype="FLOAT")
            entries.append(Entry(utt, utt[:3], tmp_path / f"{utt}.wav", "La la.", len(wav) / RATE))
        write_data_dir(tmp_path / "data", entries)
        return tmp_path / "data"

    return make


def spoilt(value: float) -> np.ndarray:
    """A second of noise with one sample of ``value``."""
    wav = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    wav[RATE // 2] = value
    return wav


BAD = {
    "nan": (spoilt(np.nan), "NaN"),
    "infinite": (spoilt(-np.inf), "NaN or infinite"),
    "zeros": (np.zeros(RATE, np.float32), "silent"),
    "offset": (np.full(RATE, 0.5, np.float32), "silent"),
    "hum": (5e-4 * np.sin(np.arange(RATE) / 20).astype(np.float32), "silent"),
}


class TestPacking:
    @pytest.mark.parametrize("name", BAD)
    def test_a_bad_recording_is_named_and_left_out(self, name, data_dir, tmp_path, capsys):
        wav, reason = BAD[name]
        pack = pack_audio(data_dir(19, **{name: wav}), tmp_path / "pack", RATE)
        said = capsys.readouterr().err.splitlines()
        assert [line for line in said if line.startswith(f"bad bob-{name}: ") and reason in line]
        assert said[-1].endswith(": 20 recordings, 1 bad ones left out") and len(said) == 2
        assert list(pack) == [f"ann-{i:02d}" for i in range(19)]
        assert sum(length for _, length in pack.spans.values()) == len(pack.samples)

    def test_a_file_that_is_gone_is_one_more(self, data_dir, tmp_path, capsys):
        folder = data_dir(20)
        (tmp_path / "ann-07.wav").unlink()
        assert len(pack_audio(folder, tmp_path / "pack", RATE)) == 19
        assert "bad ann-07: " in capsys.readouterr().err

    def test_one_in_twenty_is_borne_and_no_more(self, data_dir, tmp_path, capsys):
        bad = {name: wav for name, (wav, _) in BAD.items()}
        folder, pack = data_dir(30, **bad), tmp_path / "pack"
        with pytest.raises(UserError, match=r"5 of 35 recordings are bad \(more than 5%\)"):
            pack_audio(folder, pack, RATE)
        said = capsys.readouterr().err
        assert all(f"bad bob-{name}: " in said for name in bad) and not pack.exists()
        assert len(pack_audio(folder, pack, RATE, max_bad=0.2)) == 30

    def test_nothing_good_is_no_pack(self, data_dir, tmp_path):
        with pytest.raises(UserError, match="1 of 1 recordings are bad"):
            pack_audio(data_dir(0, nan=BAD["nan"][0]), tmp_path / "pack", RATE, max_bad=1.0)


@pytest.fixture
def stage_main(monkeypatch):
    """``stage_main(name, *arguments)`` runs a stage of the recipe -> its status."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    return lambda name, *arguments: importlib.import_module(name).main(list(map(str, arguments)))


def test_later_stages_live_without_them(data_dir, tmp_path, stage_main, model_folder, capsys):
    """Phones are made from texts alone; batches, alignments and clips are of what the pack holds. A codec's codes are
    packed as codes."""
    data, pack, out = data_dir(19, zeros=BAD["zeros"][0]), tmp_path / "pack", tmp_path / "frames"
    assert stage_main("pack_audio", "--data_dir", data, "--pack", pack) == 0
    assert stage_main("phones", "--data_dir", data, "--pack", pack) == 0
    assert "bob-zeros" in json.loads((pack / "phones.json").read_text())
    batches = PhoneBatches(pack, 10.0, 10)
    assert sorted(utt for batch in batches.batches for utt in batch) == list(AudioPack(pack))
    assert stage_main("align", "--pack", pack, "--aligner", model_folder, "--min_score", -99) == 0
    assert "19 aligned, 0 left out, 1 without sound" in capsys.readouterr().err
    assert json.loads((pack / "alignments.json").read_text()).keys() == set(AudioPack(pack))
    assert stage_main("show_alignments", "--pack", pack, "--pictures", 0) == 0
    assert stage_main("encode", "--data_dir", data, "--pack", pack, "--codec", model_folder, "--out", out) == 0
    assert {clip.speaker for clip in FramePack(out).clips} == {"ann@0"}
    codec, codes = tiny_codec(kind="rvq"), tmp_path / "codes"
    save_part(tmp_path / "rvq", "codec", codec)
    assert stage_main("encode", "--data_dir", data, "--pack", pack, "--codec", tmp_path / "rvq", "--out", codes) == 0
    pack = FramePack(codes)
    assert pack.frame_format == codec.frame_format and pack.frames.dtype == np.uint8 and not pack.frames[5:].max() >= 32
    assert [clip.count for clip in pack.clips] == [clip.count for clip in FramePack(out).clips]


def test_sound_and_phones_must_meet(data_dir, tmp_path):
    pack_audio(data_dir(2), tmp_path / "pack", RATE)
    (tmp_path / "pack/phones.json").write_text('{"carl-1": [1, 2]}')
    with pytest.raises(UserError, match="no recording has phones"):
        PhoneBatches(tmp_path / "pack", 10.0, 10)


def write_pack(folder: Path, *wavs: np.ndarray) -> AudioPack:
    """A pack as it might have been made elsewhere, whatever is in it."""
    folder.mkdir()
    np.save(folder / "samples.npy", (np.concatenate(wavs) * 32767).astype(np.int16))
    starts = np.cumsum([0, *map(len, wavs)])
    spans = {f"utt-{i}": [int(start), len(wav)] for i, (start, wav) in enumerate(zip(starts, wavs))}
    (folder / "index.json").write_text(json.dumps({"sample_rate": RATE, "spans": spans}))
    return AudioPack(folder)


class TestCrops:
    def test_a_pack_that_is_nearly_silent_gives_sound_all_the_same(self, tmp_path, syllables):
        """A quarter of a second in eight minutes; what was passed over is counted."""
        lonely = np.zeros(60 * RATE, np.float32)
        lonely[: RATE // 4] = syllables(0.25)
        pack = write_pack(tmp_path / "pack", *[np.zeros(60 * RATE, np.float32)] * 7, lonely)
        batches, again = CropBatches(pack, 4, 8000, 10), CropBatches(pack, 4, 8000, 10)
        assert batches.skipped == 0
        crops = np.concatenate([batches[step][:, 0] for step in range(5)])
        levels = 20 * np.log10(np.sqrt(np.mean(crops**2, axis=1)))
        assert levels.min() > -33 and np.abs(crops).max() <= 0.99
        assert 20 * 8 <= batches.skipped <= 20 * (8 + 7)
        assert np.array_equal(again[3], batches[3])

    def test_sound_at_either_end_is_found(self, tmp_path, syllables):
        for name, place in (("first", slice(0, 4000)), ("last", slice(-4000, None))):
            wav = np.zeros(60 * RATE, np.float32)
            wav[place] = syllables(0.25)
            crops = CropBatches(write_pack(tmp_path / name, wav), 2, 8000, 1)[0]
            assert crops.shape == (2, 1, 8000) and np.sqrt(np.mean(crops**2, axis=2)).min() > 0.02

    def test_silence_alone_is_refused(self, tmp_path):
        pack = write_pack(tmp_path / "pack", np.zeros(RATE, np.float32), np.full(RATE, 1e-4, np.float32))
        with pytest.raises(UserError, match="silence alone"):
            CropBatches(pack, 2, 8000, 10)[0]

    def test_sound_is_not_passed_over(self, tmp_path, syllables):
        pack = write_pack(tmp_path / "pack", *(syllables(2.0 + i, level=0.3) for i in range(3)))
        batches = CropBatches(pack, 4, RATE, 10)
        assert len([batches[step] for step in range(10)]) == 10 and batches.skipped == 0
