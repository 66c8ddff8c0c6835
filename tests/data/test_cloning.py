"""Encoded clips on disk, and the references and utterances that a language model learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latent_tts.data.cloning import CloningBatches, CloningConfig
from latent_tts.data.frame_pack import EncodedClip, FramePack, write_frame_pack
from latent_tts.data.row_file import RowFile
from latent_tts.errors import UserError
from latent_tts.frames import Utterances
from latent_tts.text.symbols import PAUSE_MARKS, SymbolTable

FIRST = 10  # of the symbols that are phones
SPEAKERS = "aaaaaabbbc"
SPACE, STOP = SymbolTable.english().ids(["_", "."])
AS_SAID = {"other_mark": 0.0, "no_final_mark": 0.0}
BUDGET = 600


def words(count: int) -> list[int]:
    """The phones of a clip of ``count`` frames: one begins in every fourth frame, every fourth is a separator."""
    phones = [SPACE if k % 4 == 0 else FIRST + k for k in range(count // 4)]
    return [*phones[:-1], STOP]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three speakers with 6, 3 and 1 clips; each frame holds its clip's number and its own place in it."""
    folder, rng = tmp_path_factory.mktemp("frames") / "pack", np.random.default_rng(0)
    frames, clips, position = [], [], 0
    for number, speaker in enumerate(SPEAKERS):
        count = int(rng.integers(20, 130))
        frames.append(np.stack([np.full(count, number), np.arange(count)], axis=1).astype(np.float32))
        phones = words(count)
        clips.append(EncodedClip(speaker, position, count, tuple(phones), tuple(range(0, 4 * len(phones), 4))))
        position += count
    write_frame_pack(folder, frames, clips, np.zeros(2, np.float32))
    return folder


class TestFramePack:
    def test_written_is_read(self, folder):
        pack = FramePack(folder)
        assert len(pack.clips) == 10 and pack.frames.dtype == np.float16 and pack.noise.shape == (2,)
        for number, clip in enumerate(pack.clips):
            assert np.array_equal(pack.frames_of(clip)[:, 0], np.full(clip.count, number))
        assert {path.name for path in folder.iterdir()} == {"frames.npy", "clips.json", "noise.npy"}

    def test_codes_stay_codes(self, tmp_path):
        """In as few bytes as they need; in a batch they are whole numbers, without noise."""
        codes = np.random.default_rng(0).integers(0, 1024, (90, 4))
        clips = [EncodedClip("a", start, 30, (FIRST, STOP), (0, 9)) for start in (0, 30, 60)]
        write_frame_pack(tmp_path / "pack", [codes[:30], codes[30:]], clips, None, 1024)
        pack = FramePack(tmp_path / "pack")
        assert pack.frame_format == (4, 1024) and pack.frames.dtype == np.uint16 and pack.noise is None
        for row in rows(cloning(tmp_path / "pack", no_reference=0.5), 12):
            frames = np.concatenate(row[:2])
            assert all((codes == frame).all(axis=1).any() for frame in frames)
        batch = cloning(tmp_path / "pack", no_reference=1.0)[0]
        assert batch.frames.dtype == torch.int64 and batch.frames.shape[1:] == (30, 4)

    def test_floats_are_of_no_entries(self, folder):
        assert FramePack(folder).frame_format == (2, 0)

    def test_the_list_of_clips_comes_last(self, tmp_path, monkeypatch):
        """A pack that broke off has no clips.json and is no pack."""
        monkeypatch.setattr(RowFile, "append", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
        with pytest.raises(OSError):
            write_frame_pack(tmp_path / "pack", [np.zeros((1, 2))], [], np.zeros(2))
        assert not (tmp_path / "pack/clips.json").exists()


def cloning(folder: Path, seed: int = 0, budget: int = BUDGET, **settings: float) -> CloningBatches:
    return CloningBatches(folder, budget, 1000, seed, CloningConfig(**(AS_SAID | settings)))


def rows(
    batches: CloningBatches, steps: int = 40
) -> Iterator[tuple[np.ndarray, np.ndarray, list[int], list[int], int]]:
    """Of each row: (number, place) of the reference's frames and of the utterance's, phones, starts, phones told."""
    for step in range(steps):
        batch = batches[step]
        for i in range(len(batch)):
            prompt, length, phones = int(batch.prompt_lens[i]), int(batch.frame_lens[i]), int(batch.text_lens[i])
            frames = batch.frames[i].long().numpy()
            text, starts = batch.text[i], batch.starts[i]
            assert not text[phones:].any() and (text[:phones] > 0).all()
            yield (
                *(frames[:prompt], frames[prompt:length], text[:phones].tolist(), starts[:phones].tolist()),
                int(batch.prompt_text_lens[i]),
            )


def pieces(reference: np.ndarray) -> list[np.ndarray]:
    """The clips that a reference was joined from."""
    return np.split(reference, np.flatnonzero(np.diff(reference[:, 0])) + 1) if len(reference) else []


class TestReferences:
    def test_they_are_other_clips_of_the_speaker(self, folder):
        """From their beginnings, all but the last whole; the utterance is a whole clip. A clip alone has none."""
        batches, lengths = cloning(folder), []
        for reference, clip, *_ in rows(batches):
            number = int(clip[0, 0])
            assert (clip[:, 0] == number).all() and clip[:, 1].tolist() == list(range(batches.pack.clips[number].count))
            parts = pieces(reference)
            for part in parts:
                assert SPEAKERS[part[0, 0]] == SPEAKERS[number] != "c" and part[0, 0] != number
                assert part[:, 1].tolist() == list(range(len(part)))
            assert all(len(part) == batches.pack.clips[part[0, 0]].count for part in parts[:-1])
            assert len({part[0, 0] for part in parts}) == len(parts)
            lengths.append(len(reference))
        spoken = [length for length in lengths if length]
        assert 13 <= min(spoken) < 20 and 100 < max(spoken) <= 375

    def test_long_ones_are_joined(self, folder):
        """Up to 30 s where the speaker has as much; without joining none is longer than its clip."""
        alone = [pieces(reference) for reference, *_ in rows(cloning(folder, joined=0.0))]
        assert max(map(len, alone)) == 1
        together = [
            pieces(reference) for reference, *_ in rows(cloning(folder, joined=1.0, no_reference_text=1.0), 200)
        ]
        assert max(map(len, together)) > 3
        lengths = np.array([sum(map(len, parts)) for parts in together if parts])
        assert lengths.max() <= 375 and 0.1 < np.mean(lengths > 130) < 0.5 and lengths.max() > 300

    @pytest.mark.parametrize("joined", [0.0, 1.0])
    def test_with_text_they_end_between_words(self, folder, joined):
        """All phones begin within; behind the last, a separator, less is cut than its pause has."""
        batches, ends = cloning(folder, joined=joined, no_reference_text=0.0), set()
        for reference, clip, text, starts, told in rows(batches):
            own = list(words(len(clip)))
            assert text[told:] == own and starts[told:] == [len(reference) + 4 * k for k in range(len(own))]
            if not told:
                continue
            wanted, begun = [], []
            for place, part in enumerate(pieces(reference)):
                offset, count = sum(map(len, pieces(reference)[:place])), batches.pack.clips[part[0, 0]].count
                heard = [(p, 4 * k) for k, p in enumerate(words(count)) if 4 * k < len(part)][min(place, 1) :]
                wanted += [phone for phone, _ in heard]
                begun += [offset + start for _, start in heard]
            assert text[:told] == wanted and starts[:told] == begun and text[told - 1] in (SPACE, STOP)
            ends.add(len(reference) - starts[told - 1])
        assert {1, 2, 3, 4} <= ends, "the trim leaves every length of a pause"

    def test_a_word_space_within_a_frame(self, tmp_path):
        """It begins with the next word's first phone, in the frame behind the reference: told as the last frame."""
        starts = (0, 4, 16, 16, 24, 30)
        clip = EncodedClip("a", 0, 40, (SPACE, FIRST, SPACE, FIRST, FIRST, STOP), starts)
        write_frame_pack(tmp_path / "p", [np.zeros((40, 2))], [clip, clip], np.zeros(2))
        found = set()
        settings = {"shortest": 14, "longest": 20, "no_reference": 0.0, "no_reference_text": 0.0, "trim": 0}
        for reference, _, text, begun, told in rows(cloning(tmp_path / "p", **settings)):
            if told:
                assert (len(reference), text[:told], begun[:told]) == (16, [SPACE, FIRST, SPACE], [0, 4, 15])
            found.add(told)
        assert found == {0, 3}, "where no word ends in time there is no text"

    def test_without_text_they_end_anywhere(self, folder):
        """A whole clip loses up to half a second, too."""
        batches = cloning(folder, no_reference_text=1.0, joined=0.0)
        found = [(len(r), batches.pack.clips[r[0, 0]].count) for r, _, _, _, told in rows(batches, 200) if len(r)]
        assert {length % 4 for length, _ in found} == {0, 1, 2, 3}
        assert set(range(7)) <= {count - length for length, count in found if count > 60}

    def test_chances(self, folder):
        """How many rows lack a reference, and how many references lack their text."""

        def shares(**settings: float) -> tuple[float, float]:
            found = [(len(r) > 0, told > 0) for r, _, _, _, told in rows(cloning(folder, **settings), 60)]
            told = [t for present, t in found if present]
            return 1 - np.mean([present for present, _ in found]), 1 - np.mean(told) if told else 0

        assert shares(no_reference=1.0) == (1, 0)
        assert shares(no_reference=0.0, no_reference_text=0.0) == (
            pytest.approx(0.1, abs=0.05),
            pytest.approx(0, abs=0.2),
        )
        without, silent = shares(shortest=25)
        assert without == pytest.approx(0.19, abs=0.07) and silent == pytest.approx(0.5, abs=0.1)

    @pytest.mark.parametrize("wrong", [{"shortest": 0}, {"shortest": 50, "longest": 40}, {"trim": -1}])
    def test_limits_that_cannot_be(self, wrong):
        with pytest.raises(UserError, match="cloning: references of .* want 1 <= shortest <= longest"):
            CloningConfig(**wrong)


class TestTexts:
    @pytest.fixture
    def one(self, tmp_path) -> tuple[Path, list[int]]:
        """A pack of one clip, and its phones."""
        text = SymbolTable.english().ids(["_", "b", ",", "d", "_", "f", "."])
        write_frame_pack(
            tmp_path / "one", [np.zeros((40, 2))], [EncodedClip("a", 0, 40, tuple(text), (*range(7),))], np.zeros(2)
        )
        return tmp_path / "one", text

    def test_pause_marks_are_exchanged(self, one):
        """Sometimes, among themselves; word spaces and phones stay what they are."""
        folder, text = one
        marks = SymbolTable.english().ids(PAUSE_MARKS)
        never, always, sometimes = (cloning(folder, other_mark=p) for p in (0.0, 1.0, 0.5))
        assert all(never[step].text[0].tolist() == text for step in range(10))
        found = torch.cat([always[step].text for step in range(100)])
        assert torch.equal(found[:, [0, 1, 3, 4, 5]], torch.tensor(text)[[0, 1, 3, 4, 5]].expand(100, 5))
        assert set(found[:, 2].tolist()) == set(found[:, 6].tolist()) == set(marks)
        assert 20 < sum(sometimes[step].text[0, 2] == text[2] for step in range(60)) < 50

    def test_the_last_mark_is_dropped(self, one):
        """At times, and it alone; a word space stands in its place."""
        folder, text = one
        assert all(cloning(folder, no_final_mark=1.0)[s].text[0].tolist() == [*text[:-1], SPACE] for s in range(5))
        assert 10 < sum(int(cloning(folder, no_final_mark=0.5)[s].text[0, -1]) == SPACE for s in range(40)) < 30


class TestBatches:
    def test_they_keep_to_their_frames(self, folder):
        """References and padding included; a clip that has no room for a reference goes without."""
        for budget in (150, 300, 2000):
            batches = cloning(folder, budget=budget, joined=0.5)
            sizes = [batches[step].frames.shape[0] * batches[step].frames.shape[1] for step in range(60)]
            assert max(sizes) <= budget and (budget > 300 or np.mean(sizes) > budget / 2)

    def test_a_batch_depends_on_its_step_alone(self, folder):
        batches, again, other = (cloning(folder, seed) for seed in (3, 3, 4))
        _ = again[0], again[45]
        for step in (5, 40):
            assert torch.equal(batches[step].frames, again[step].frames)
        assert any(
            batches[s].frames.shape != other[s].frames.shape or not torch.equal(batches[s].frames, other[s].frames)
            for s in range(3)
        )

    def test_every_clip_comes_once_an_epoch(self, folder):
        """In other company each time."""
        batches, clips, company = cloning(folder), [], []
        for step in range(60):
            batch = batches[step]
            numbers = [int(frames[prompt, 0]) for frames, prompt in zip(batch.frames, batch.prompt_lens)]
            company.append(frozenset(numbers))
            clips += numbers
        for epoch in range(len(clips) // 10):
            assert sorted(clips[10 * epoch : 10 * epoch + 10]) == list(range(10))
        assert len(batches) == 1000 and len(set(company)) > 30

    def test_processes_share_a_batch(self, folder):
        """Each row goes to one of them, as it is in the whole batch."""
        batches = cloning(folder, budget=1500)
        whole = batches[0]
        shares = [batches.share(0, rank, 2) for rank in range(2)]
        assert len(whole) > 2 and [len(share) for share in shares] == [-(-len(whole) // 2), len(whole) // 2]
        for rank, share in enumerate(shares):
            for field in fields(Utterances):
                wanted, found = getattr(whole, field.name)[rank::2], getattr(share, field.name)
                if wanted.ndim > 1:
                    assert not wanted[:, found.shape[1] :].any()
                    wanted = wanted[:, : found.shape[1]]
                assert torch.equal(found, wanted)
        assert all(len(batches.share(0, rank, 40)) == 1 for rank in range(40))

    def test_frames_carry_the_codec_s_noise(self, folder, tmp_path):
        """One width a row, times the deviation of each dimension."""
        clips = [replace(clip, start=0, count=100) for clip in FramePack(folder).clips]
        write_frame_pack(tmp_path / "noisy", [np.zeros((100, 2))], clips, np.array([0.5, 2.0]))
        batches = cloning(tmp_path / "noisy", seed=1, no_reference=1.0)
        widths = torch.cat([batches[step].frames.std(dim=1) for step in range(60)])
        assert torch.allclose(widths[:, 1] / widths[:, 0], torch.tensor(4.0), rtol=0.5)
        assert widths[:, 1].square().mean().sqrt() == pytest.approx(2.0, rel=0.2)
        assert widths[:, 1].std() / widths[:, 1].mean() > 0.5
