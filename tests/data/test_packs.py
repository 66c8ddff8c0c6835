"""Packs of sound and of frames, and the batches that are drawn from them by step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_tts import audio
from latent_tts.data.audio_pack import AudioPack, CropBatches, pack_audio
from latent_tts.data.clips import cut_clips
from latent_tts.data.frame_pack import CloningBatches, EncodedClip, FramePack, write_frame_pack
from latent_tts.data.kaldi import Entry, write_data_dir
from latent_tts.data.phone_batches import PhoneBatches
from latent_tts.text.symbols import PAUSE_MARKS, SymbolTable

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

    def test_crops_are_pieces_at_random_levels(self, pack):
        """Each is a stretch of some recording times a gain, from -32 to -16 dB rms, and never clips."""
        crops = np.concatenate([CropBatches(pack, 8, 4000, 10)[step] for step in range(10)])[:, 0]
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


FIRST = 10  # of the symbols that are phones


@pytest.fixture(scope="module")
def frame_pack(tmp_path_factory) -> Path:
    """Three speakers with 6, 3 and 1 clips; each frame holds its clip's number and its own place in it, and in every
    fourth frame a phone begins: FIRST, FIRST + 1 ..."""
    folder, rng = tmp_path_factory.mktemp("frames") / "pack", np.random.default_rng(0)
    frames, clips, position = [], [], 0
    for number, speaker in enumerate("aaaaaabbbc"):
        count = int(rng.integers(20, 130))
        frames.append(np.stack([np.full(count, number), np.arange(count)], axis=1).astype(np.float32))
        phones = count // 4
        clips.append(
            EncodedClip(
                speaker, position, count, tuple(range(FIRST, FIRST + phones)), tuple(4 * k for k in range(phones))
            )
        )
        position += count
    write_frame_pack(folder, frames, clips, np.zeros(2, np.float32))
    return folder


class TestFramePack:
    def test_written_is_read(self, frame_pack):
        pack = FramePack(frame_pack)
        assert len(pack.clips) == 10 and pack.frames.dtype == np.float16 and pack.noise.shape == (2,)
        for number, clip in enumerate(pack.clips):
            assert np.array_equal(pack.frames_of(clip)[:, 0], np.full(clip.count, number))
        assert {path.name for path in frame_pack.iterdir()} == {"frames.npy", "clips.json", "noise.npy"}

    def test_the_list_of_clips_comes_last(self, frame_pack, tmp_path, monkeypatch):
        """A pack that broke off has no clips.json and is no pack."""
        monkeypatch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
        with pytest.raises(OSError):
            write_frame_pack(tmp_path / "pack", [np.zeros((1, 2))], [], np.zeros(2))
        assert not (tmp_path / "pack/clips.json").exists()


class TestCloning:
    def batches(self, folder: Path, seed: int = 0, **settings: float) -> CloningBatches:
        batches = CloningBatches(folder, 300, 1000, seed)
        for name, value in settings.items():
            setattr(batches, name, value)
        return batches

    def rows(self, batch):
        """Number and place (n,) of each frame of the reference and of the utterance, of each row."""
        for frames, length, prompt in zip(batch.frames, batch.frame_lens, batch.prompt_lens):
            yield frames[:prompt].long(), frames[prompt:length].long()

    def test_a_reference_is_another_clip_of_the_speaker(self, frame_pack):
        """Cut at its beginning, within its limits; the utterance is a whole clip. A clip alone has no reference."""
        batches, speakers, cuts = self.batches(frame_pack), "aaaaaabbbc", []
        for step in range(20):
            for reference, clip in self.rows(batches[step]):
                number = int(clip[0, 0])
                assert clip[:, 0].eq(number).all() and len(clip) == batches.pack.clips[number].count
                assert clip[:, 1].tolist() == list(range(len(clip)))
                if len(reference):
                    assert speakers[int(reference[0, 0])] == speakers[number] != "c" and reference[0, 0] != number
                    assert reference[:, 1].tolist() == list(range(len(reference)))
                    cuts.append(len(reference))
        assert 16 <= min(cuts) < 30 and 60 < max(cuts) <= 100

    def test_phones_begin_where_they_are_said_to(self, frame_pack):
        """Every four frames, in the reference and in the utterance."""
        batches, heard = self.batches(frame_pack), 0
        for step in range(20):
            batch = batches[step]
            for i in range(len(batch)):
                count, known = int(batch.text_lens[i]), int(batch.prompt_text_lens[i])
                prompt, starts, text = int(batch.prompt_lens[i]), batch.starts[i], batch.text[i]
                assert torch.equal(starts[:known], 4 * (text[:known] - FIRST)) and (starts[:known] < prompt).all()
                assert torch.equal(starts[known:count], prompt + 4 * (text[known:count] - FIRST))
                assert text[known] == FIRST and (text[:count] > 0).all() and not text[count:].any()
                assert known in (0, -(-prompt // 4)) and starts[count - 1] < batch.frame_lens[i]
                heard += known > 0
        assert heard

    def test_chances(self, frame_pack):
        """How many rows lack a reference, and how many references lack their text."""

        def shares(**settings: float) -> tuple[float, float]:
            batches = [self.batches(frame_pack, **settings)[step] for step in range(60)]
            prompts = torch.cat([b.prompt_lens for b in batches])
            heard = torch.cat([b.prompt_text_lens for b in batches])[prompts > 0]
            return float((prompts == 0).float().mean()), float((heard == 0).float().mean() if len(heard) else 0)

        assert shares(no_reference=1.0) == (1, 0)
        assert shares(no_reference=0.0, no_reference_text=0.0) == (pytest.approx(0.1, abs=0.01), 0)
        without, silent = shares()
        assert without == pytest.approx(0.19, abs=0.05) and silent == pytest.approx(0.5, abs=0.1)

    def test_pause_marks_are_exchanged(self, frame_pack, tmp_path):
        """Sometimes, among themselves; word spaces and phones stay what they are."""
        table = SymbolTable.english()
        marks, text = table.ids(PAUSE_MARKS), table.ids(["_", "b", ",", "d", "_", "f", "."])
        clip = EncodedClip("a", 0, 40, tuple(text), tuple(range(7)))
        write_frame_pack(tmp_path / "one", [np.zeros((40, 2))], [clip], np.zeros(2))
        never, always, sometimes = (self.batches(tmp_path / "one", other_mark=p) for p in (0.0, 1.0, 0.5))
        assert all(never[step].text[0].tolist() == text for step in range(10))
        rows = torch.cat([always[step].text for step in range(100)])
        assert torch.equal(rows[:, [0, 1, 3, 4, 5]], torch.tensor(text)[[0, 1, 3, 4, 5]].expand(100, 5))
        assert set(rows[:, 2].tolist()) == set(rows[:, 6].tolist()) == set(marks)
        assert 20 < sum(sometimes[step].text[0, 2] == text[2] for step in range(60)) < 50

    def test_a_batch_depends_on_its_step_alone(self, frame_pack):
        batches, again, other = (self.batches(frame_pack, seed) for seed in (3, 3, 4))
        _ = again[0]
        for step in (5, 40):
            assert torch.equal(batches[step].frames, again[step].frames)
        assert any(
            batches[s].frames.shape != other[s].frames.shape or not torch.equal(batches[s].frames, other[s].frames)
            for s in range(3)
        )

    def test_every_clip_comes_once_an_epoch(self, frame_pack):
        batches = self.batches(frame_pack)
        count = len(batches.batches)
        assert len(batches) == 1000 and 1 < count < 10
        for epoch in range(3):
            steps = range(epoch * count, (epoch + 1) * count)
            found = [int(clip[0, 0]) for step in steps for _, clip in self.rows(batches[step])]
            assert sorted(found) == list(range(10))

    def test_frames_carry_the_codec_s_noise(self, frame_pack, tmp_path):
        """One width a row, times the deviation of each dimension."""
        pack = FramePack(frame_pack)
        clips = [replace(clip, start=0, count=100) for clip in pack.clips]
        write_frame_pack(tmp_path / "noisy", [np.zeros((100, 2))], clips, np.array([0.5, 2.0]))
        batches = self.batches(tmp_path / "noisy", no_reference=1.0)
        widths = torch.cat([batches[step].frames.std(dim=1) for step in range(60)])
        assert torch.allclose(widths[:, 1] / widths[:, 0], torch.tensor(4.0), rtol=0.5)
        assert widths[:, 1].square().mean().sqrt() == pytest.approx(2.0, rel=0.2)
        assert widths[:, 1].std() / widths[:, 1].mean() > 0.5


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
