"""Packs of sound, and the batches that are drawn from them by step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_tts import audio
from latent_tts.data.audio_pack import AudioPack, CropBatches, pack_audio
from latent_tts.data.clips import cut_clips
from latent_tts.data.kaldi import Entry, write_data_dir
from latent_tts.data.phone_batches import PhoneBatches
from latent_tts.errors import UserError

RATE = 16000
SECONDS = {"ann-1": 1.5, "ann-2": 3.0, "bob-1": 2.0, "bob-2": 2.2}


def chirp(seconds: float, rate: int, seed: int) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return 0.02 * (seed + 1) * np.sin(2 * np.pi * (200 + 300 * seed) * time) * (np.sin(8 * time) ** 2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A data directory of chirps at several rates, each after half a second of silence."""
    folder = tmp_path_factory.mktemp("corpus")
    entries = []
    for i, (utt, seconds) in enumerate(SECONDS.items()):
        rate = (16000, 24000, 8000, 44100)[i]
        wav = np.r_[np.zeros(rate // 2), chirp(seconds, rate, i)].astype(np.float32)
        audio.write(folder / f"{utt}.wav", wav, rate)
        entries.append(Entry(utt, utt[:3], folder / f"{utt}.wav", "la la", seconds + 0.5))
    write_data_dir(folder / "data", entries)
    return folder / "data"


@pytest.fixture(scope="module")
def pack(corpus, tmp_path_factory) -> AudioPack:
    return pack_audio(corpus, tmp_path_factory.mktemp("pack"), RATE)


class TestAudioPack:
    def test_recordings_are_as_a_reference_is(self, pack, corpus):
        assert list(pack) == sorted(SECONDS) and len(pack) == 4 and pack.sample_rate == RATE
        for utt, seconds in SECONDS.items():
            wav = pack[utt]
            wanted = audio.condition_reference(*audio.read(corpus.parent / f"{utt}.wav", RATE))
            assert wav.dtype == np.float32 and len(wav) == len(wanted) < (seconds + 0.25) * RATE
            assert np.abs(wav - wanted.clip(-1, 1)).max() < 2 / 32768

    def test_recordings_lie_end_to_end(self, pack):
        spans = sorted(pack.spans.values())
        assert [start for start, _ in spans] == np.cumsum([0, *(n for _, n in spans)])[:-1].tolist()
        assert sum(n for _, n in spans) == len(pack.samples) and pack.samples.dtype == np.int16

    def test_it_is_decoded_once(self, corpus, tmp_path):
        first = pack_audio(corpus, tmp_path / "pack", RATE)
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "pack").iterdir()}
        again = pack_audio(tmp_path / "nowhere", tmp_path / "pack", RATE)
        assert again.spans == first.spans
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "pack").iterdir()} == before
        assert {path.name for path in before} == {"samples.npy", "index.json"}

    def test_another_rate_than_the_model_s_is_refused(self, pack):
        assert AudioPack(pack.folder, RATE).spans == pack.spans
        with pytest.raises(UserError, match="holds sound at 16000 Hz and the model hears 24000; set its sample_rate"):
            AudioPack(pack.folder, 24000)

    def test_half_a_pack_is_made_anew(self, corpus, tmp_path):
        """Broken off before its index was there."""
        (tmp_path / "samples.npy").write_bytes(b"half")
        assert len(pack_audio(corpus, tmp_path, RATE)) == 4


class TestCrops:
    def test_a_step_is_a_batch(self, pack):
        batches, again, other = (CropBatches(pack, 3, 8000, 10, seed=s) for s in (4, 4, 5))
        assert len(batches) == 10 and batches[7].shape == (3, 1, 8000) and batches[7].dtype == np.float32
        _ = again[2]
        assert np.array_equal(batches[7], again[7])
        assert not np.array_equal(batches[7], batches[8]) and not np.array_equal(batches[7], other[7])

    def test_processes_share_a_batch(self, pack):
        batches = CropBatches(pack, 5, 4000, 10)
        shares = [batches.share(3, rank, 2) for rank in range(2)]
        assert np.array_equal(batches[3][0::2], shares[0]) and np.array_equal(batches[3][1::2], shares[1])

    def test_crops_are_pieces_at_random_levels(self, pack):
        """Each is a stretch of some recording times a gain, from -32 to -16 dB rms, and never clips."""
        batches = CropBatches(pack, 8, 4000, 10)
        batches.tempo = (1, 1)
        crops = np.concatenate([batches[step] for step in range(10)])[:, 0]
        levels = 20 * np.log10(np.sqrt(np.mean(crops**2, axis=1)))
        assert -33 < levels.min() < -28 and -20 < levels.max() < -15 and np.abs(crops).max() <= 0.99
        whole = np.concatenate([pack[utt] for utt in pack])
        crop, size = crops[0], 2 ** int(np.ceil(np.log2(len(whole) + 4000)))
        products = np.fft.irfft(np.fft.rfft(whole, size) * np.fft.rfft(crop, size).conj())[: len(whole) - 4000]
        energy = np.cumsum(np.r_[0, np.square(whole, dtype=np.float64)])
        place = int(np.argmax(products / np.sqrt(energy[4000:-1] - energy[:-4001] + 1e-6)))
        piece = whole[place : place + 4000]
        gain = (crop @ piece) / (piece @ piece)
        assert np.abs(crop - gain * piece).max() < 1e-4

    def test_long_recordings_come_more_often(self, pack):
        """Every second of the corpus is as likely as any other."""
        batches = CropBatches(pack, 1, 100, 1)
        assert batches.weights == pytest.approx([len(pack[u]) / len(pack.samples) for u in pack])

    def test_a_short_recording_is_filled_up(self, pack):
        crops = CropBatches(pack, 4, 5 * RATE, 1)[0]
        assert crops.shape == (4, 1, 5 * RATE) and not crops[..., 4 * RATE :].any()


class TestClips:
    @given(st.lists(st.tuples(st.floats(0.03, 0.5), st.booleans()), min_size=4, max_size=60), st.integers(0, 2**31))
    @settings(max_examples=60, deadline=None)
    def test_clips_tile_the_recording(self, phones, seed):
        """Every clip begins and ends at a pause, holds each phone between once, and onsets within its time."""
        names = ["_", *("_" if pause else "a" for _, pause in phones), "."]
        lengths = np.array([0.2, *(length for length, _ in phones), 0.3])
        onsets, seconds = np.r_[0, np.cumsum(lengths)[:-1]], float(lengths.sum())
        rng = np.random.default_rng(seed)
        clips = cut_clips("u", names, onsets, seconds, ("_", "."), rng, shortest=0.4, longest=4.0)
        end = 0.0
        for clip in clips:
            assert clip.utt == "u" and clip.phones[0] == "_" and clip.phones[-1] in ("_", ".")
            assert 0.4 <= clip.seconds and 0 <= clip.begin < clip.end <= seconds + 1e-9
            assert len(clip.phones) == len(clip.onsets) and clip.onsets[0] == clip.begin
            assert all(clip.begin <= a <= b <= clip.end for a, b in zip(clip.onsets, clip.onsets[1:]))
            place = int(np.flatnonzero(np.isclose(onsets, clip.onsets[1]))[0])
            assert names[place : place + len(clip.phones) - 1] == list(clip.phones[1:])
            assert clip.onsets[1] >= end - 1e-9
            end = clip.onsets[-1]

    def test_silence_at_the_ends_is_cut(self):
        names, onsets = ["_", "a", "b", "."], np.array([0.0, 1.0, 1.5, 2.0])
        (clip,) = cut_clips("u", names, onsets, 5.0, ("_", "."), np.random.default_rng(0), shortest=1.0)
        assert (clip.begin, clip.end) == pytest.approx((0.88, 2.12))
        assert clip.onsets == pytest.approx((0.88, 1.0, 1.5, 2.0)) and clip.phones == ("_", "a", "b", ".")

    def test_what_is_too_short_is_dropped(self):
        names, onsets = ["_", "a", "."], np.array([0.0, 0.2, 0.5])
        assert not cut_clips("u", names, onsets, 0.8, ("_", "."), np.random.default_rng(0))


class TestPhoneBatches:
    @pytest.fixture
    def folder(self, corpus, tmp_path) -> Path:
        pack_audio(corpus, tmp_path, RATE)
        phones = {utt: list(range(1, 4 + i)) for i, utt in enumerate(SECONDS)} | {"stranger": [1]}
        (tmp_path / "phones.json").write_text(json.dumps(phones))
        return tmp_path

    def test_recordings_come_with_their_phones(self, folder):
        batches = PhoneBatches(folder, 5.0, 50)
        count, found = len(batches.batches), []
        assert len(batches) == 50 and count > 1
        for step in range(count):
            wavs, wav_lens, texts, text_lens = batches[step]
            assert wavs.shape == (len(texts), int(wav_lens.max())) and texts.shape[1] == int(text_lens.max())
            assert wavs.shape[0] * wavs.shape[1] <= 5.0 * RATE
            for wav, length, text, phones in zip(wavs, wav_lens, texts, text_lens):
                utt = next(u for u, ids in batches.phones.items() if len(ids) == phones and u in batches.pack.spans)
                assert torch.equal(wav[:length], torch.from_numpy(batches.pack[utt])) and not wav[length:].any()
                assert text[:phones].tolist() == batches.phones[utt] and not text[phones:].any()
                found.append(utt)
        assert sorted(found) == sorted(SECONDS)

    def test_a_batch_depends_on_its_step_alone(self, folder):
        batches, again = PhoneBatches(folder, 5.0, 50, 1), PhoneBatches(folder, 5.0, 50, 1)
        for step in (40, 3):
            assert all(torch.equal(a, b) for a, b in zip(batches[step], again[step]))
        orders = [tuple(int(PhoneBatches(folder, 5.0, 50, s)[i][1].max()) for i in range(3)) for s in range(8)]
        assert len(set(orders)) > 1

    def test_processes_share_a_batch(self, folder):
        """Every row goes to one process; where rows are fewer than processes all have one."""
        batches = PhoneBatches(folder, 5.0, 50)
        for step in range(len(batches.batches)):
            whole = batches[step][1].tolist()
            shares = [batches.share(step, rank, 3)[1].tolist() for rank in range(3)]
            assert all(shares) and set(sum(shares, [])) == set(whole)
            assert len(whole) < 3 or sorted(sum(shares, [])) == sorted(whole)
