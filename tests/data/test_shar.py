"""Frame packs as Lhotse's shards and back, and batches drawn from shards."""

from __future__ import annotations

import gzip
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import LATENT_DIM, tiny_codec, tiny_frame_pack

from latent_tts.data.frame_pack import EncodedClip, FramePack, write_frame_pack
from latent_tts.data.shar import Shards, finish_shards, pack_of, shard_ranges, unpack, write_shard
from latent_tts.data.shar_batches import SharBatches
from latent_tts.errors import UserError
from latent_tts.frames import Utterances
from latent_tts.model_dir import save_part

pytest.importorskip("lhotse")
RATE = 12.5


def named(folder: Path, speakers: str, seed: int = 0) -> FramePack:
    """A frame pack whose clips have names, in C order of them."""
    pack = FramePack(tiny_frame_pack(folder, speakers, seed))
    clips = [replace(clip, name=f"{clip.speaker}-{i:03d}@0_0000000") for i, clip in enumerate(pack.clips)]
    write_frame_pack(folder, [np.array(pack.frames)], clips, pack.noise)
    return FramePack(folder)


def export(pack: FramePack, folder: Path, size: int) -> Path:
    folder.mkdir()
    ranges = shard_ranges(len(pack.clips), size)
    for number, chosen in enumerate(ranges):
        write_shard(folder, number, pack, chosen, RATE)
    finish_shards(folder, pack, ranges, RATE)
    return folder


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> FramePack:
    return named(tmp_path_factory.mktemp("pack"), "aaaaaabbbbbbccccccdddd")


@pytest.fixture(scope="module")
def shards(pack, tmp_path_factory) -> Path:
    return export(pack, tmp_path_factory.mktemp("shar") / "shards", 4)


class TestShards:
    def test_there_and_back(self, pack, shards, tmp_path):
        """Bit by bit, and the frames as float16, without loss."""
        assert Shards(shards).sizes[:, 0].tolist() == [4, 4, 4, 4, 4, 2] and len(Shards(shards)) == 6
        unpack(Shards(shards), tmp_path)
        again = FramePack(tmp_path)
        assert again.clips == [replace(clip, phones=[*clip.phones], starts=[*clip.starts]) for clip in pack.clips]
        assert again.frames.dtype == np.float16 and np.array_equal(again.frames, pack.frames)
        assert np.array_equal(again.noise, pack.noise)

    def test_lhotse_reads_them(self, pack, shards):
        """A cut a clip: its frames, speaker, phones as text and when each is said."""
        from lhotse import CutSet

        files = {name: sorted(shards.glob(f"{name}.*")) for name in ("cuts", "frames")}
        cuts = list(CutSet.from_shar(fields=files))
        assert [cut.id for cut in cuts] == [clip.name for clip in pack.clips]
        for cut, clip in zip(cuts, pack.clips):
            assert np.array_equal(cut.load_frames(), pack.frames[clip.start : clip.start + clip.count])
            assert cut.duration == pytest.approx(clip.count / RATE) and cut.frames.frame_shift == 1 / RATE
            (spoken,) = cut.supervisions
            assert spoken.speaker == clip.speaker and spoken.recording_id == clip.name.partition("@")[0]
            said = spoken.alignment["phone"]
            assert " ".join(item.symbol for item in said) == spoken.text and len(said) == len(clip.phones)
            assert [round(item.start * RATE, 3) for item in said] == list(clip.starts)
            assert said[-1].end == pytest.approx(clip.count / RATE)

    def test_several_folders_are_one(self, pack, tmp_path):
        other = named(tmp_path / "more", "eeee", seed=1)
        (tmp_path / "all").mkdir()
        export(other, tmp_path / "all/1", 3)
        export(pack, tmp_path / "all/0", 100)
        both = Shards(tmp_path / "all")
        assert both.sizes[:, 0].tolist() == [22, 3, 1]
        assert [clip.speaker for clip in pack_of(both, [1, 2]).clips] == ["e"] * 4
        with pytest.raises(UserError, match="holds no shards.json, nor does a folder in it"):
            Shards(tmp_path)
        noisy = named(tmp_path / "noisy", "ff")
        noisy.noise = noisy.noise + 1
        export(noisy, tmp_path / "all/2", 3)
        with pytest.raises(UserError, match="hold frames of two codecs"):
            Shards(tmp_path / "all")

    def test_codes(self, tmp_path):
        """In as few bytes as in the pack; drawn as whole numbers."""
        codes = np.random.default_rng(0).integers(0, 300, (90, 3))
        clips = [EncodedClip("a", at, 30, (50, 60), (0, 9), f"a-{at}@0") for at in (0, 30, 60)]
        write_frame_pack(tmp_path / "pack", [codes], clips, None, 300)
        folder = export(FramePack(tmp_path / "pack"), tmp_path / "shards", 2)
        unpack(Shards(folder), tmp_path / "again")
        again = FramePack(tmp_path / "again")
        assert again.frame_format == Shards(folder).frame_format == (3, 300) and again.noise is None
        assert again.frames.dtype == np.uint16 and np.array_equal(again.frames, codes)
        batch = SharBatches(folder, 200, 3)[1]
        assert batch.frames.dtype == torch.int64 and set(batch.frames[0, 0].tolist()) <= set(codes.flatten().tolist())

    def test_a_shard_that_lost_its_end(self, pack, tmp_path):
        folder = export(pack, tmp_path / "shards", 8)
        cuts = folder / "cuts.000001.jsonl.gz"
        lines = gzip.decompress(cuts.read_bytes()).splitlines(keepends=True)
        cuts.write_bytes(gzip.compress(b"".join(lines[:5])))
        with pytest.raises(UserError, match="cuts.000001.jsonl.gz holds 5 clips, not 8; export it again"):
            pack_of(Shards(folder), [0, 1])

    def test_the_stages(self, pack, shards, stage, tmp_path, capsys):
        """export in parts, one of which did not come to its end; import."""
        codec = tmp_path / "codec"
        save_part(codec, "codec", tiny_codec())
        named(tmp_path / "pack", "aaaaaabbbbbbccccccdddd")
        (tmp_path / "text").write_text("a-000 Ann says.\nb-006 Ben says.\n")
        options = (
            "--data_dir",
            tmp_path,
            "--pack",
            tmp_path / "pack",
            "--codec",
            codec,
            "--out",
            tmp_path / "out",
            "--shard_size",
            4,
        )
        assert stage("export_shar", *options, "--part", "1/2") == 0
        assert stage("export_shar", *options, "--merge", 2) == 2
        assert "of 2 parts 1 are missing" in capsys.readouterr().err
        kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.00*")}
        assert stage("export_shar", *options, "--part", "2/2") == 0
        assert stage("export_shar", *options, "--merge", 2) == 0
        assert len(kept) == 6 and all(path.stat().st_mtime_ns == time for path, time in kept.items())
        assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in shards.iterdir()}
        assert (tmp_path / "out/shards.json").read_bytes() == (shards / "shards.json").read_bytes()
        lines = gzip.decompress((tmp_path / "out/cuts.000000.jsonl.gz").read_bytes()).splitlines()
        texts = [json.loads(line)["supervisions"][0].get("custom") for line in lines]
        assert texts == [{"recording_text": "Ann says."}, None, None, None]
        assert stage("import_shar", "--shards", tmp_path / "out", "--out", tmp_path / "again") == 0
        for name in ("frames.npy", "clips.json", "noise.npy"):
            assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "pack" / name).read_bytes()

    def test_clips_without_names(self, stage, tmp_path, capsys):
        """As older versions encoded them."""
        save_part(tmp_path, "codec", tiny_codec())
        tiny_frame_pack(tmp_path / "pack")
        assert stage("export_shar", "--pack", tmp_path / "pack", "--codec", tmp_path, "--out", tmp_path / "out") == 2
        assert "encode it again" in capsys.readouterr().err and not (tmp_path / "out").exists()


class TestBatches:
    @pytest.fixture
    def batches(self, shards):
        """Chapters of about two shards, five steps or so each."""
        return lambda seed=0, held=220, frames=100: SharBatches(shards, frames, 500, seed, held=held)

    def test_a_batch_depends_on_its_step_alone(self, batches):
        """Wherever a run begins; a resumed one reads one chapter."""
        forward = [batches()[step] for step in (0, 1)]
        whole = batches()
        seen = [whole[step] for step in range(80)]
        assert all(same(batch, seen[step]) for step, batch in enumerate(forward))
        for step in (79, 3, 41):
            assert same(batches()[step], seen[step]) and same(whole[step], seen[step])
        assert not same(batches(seed=1)[5], seen[5])

    def test_rows_are_clips_behind_their_speaker(self, pack, batches):
        clips = {pack.frames_of(clip).shape[0]: clip for clip in pack.clips}
        drawn = batches()
        for step in range(40):
            batch = drawn[step]
            assert isinstance(batch, Utterances) and batch.frames.shape[2] == LATENT_DIM
            assert batch.frames.shape[0] * batch.frames.shape[1] <= 100
            assert set((batch.frame_lens - batch.prompt_lens).tolist()) <= set(clips)

    def test_an_epoch_hears_nearly_all(self, pack, batches):
        """Counted by what is said: each clip about once an epoch."""
        drawn = batches()
        texts = {tuple(clip.phones): 0 for clip in pack.clips}
        drawn[400]
        for batch in (drawn[step] for step in range(drawn._ends[8])):
            for row in range(len(batch)):
                told, end = int(batch.prompt_text_lens[row]), int(batch.text_lens[row])
                texts[tuple(batch.text[row, told:end].tolist())] += 1
        counts = np.array(list(texts.values())) / 8
        assert counts.min() > 0.3 and 0.6 < counts.mean() < 1.7

    def test_shards_are_read_when_they_are_due(self, batches, monkeypatch):
        """One chapter at a time, each shard once an epoch."""
        read = []
        original = Shards.read
        monkeypatch.setattr(Shards, "read", lambda self, shard: read.append(shard) or original(self, shard))
        drawn = batches()
        drawn[0]
        assert len(read) <= 3
        epoch = drawn._ends[1]
        for step in range(epoch):
            drawn[step]
        assert sorted(read) == list(range(6))

    def test_processes_share_a_batch(self, batches):
        drawn = batches(held=10**9, frames=400)
        whole, shares = drawn[1], [drawn.share(1, rank, 2) for rank in range(2)]
        assert len(whole) == sum(map(len, shares)) > 1
        assert torch.equal(shares[1].frame_lens, whole.frame_lens[1::2])

    def test_a_language_model_learns_from_them(self, shards, tmp_path):
        """The task takes shards where it finds them."""
        from latent_tts.data.cloning import CloningBatches
        from latent_tts.lm.aligned import AlignedLMConfig
        from latent_tts.train.lm_task import LMTask, LMTraining

        (tmp_path / "train").symlink_to(shards)
        tiny_frame_pack(tmp_path / "valid")
        small = AlignedLMConfig(frame_dim=LATENT_DIM, dim=16, layers=1, heads=2, text_dim=16, head_dim=16)
        task = LMTask(small, LMTraining(steps=7, batch_frames=100))
        train, valid = task.datasets(tmp_path)
        assert type(train) is SharBatches and type(valid) is CloningBatches and len(train) == 7

    def test_no_clips(self, tmp_path):
        codec = {"frame_rate": 12.5, "width": 2, "entries": 0, "noise": [0.0, 0.0]}
        (tmp_path / "shards.json").write_text(json.dumps({"codec": codec, "shards": []}))
        with pytest.raises(UserError, match="holds no clip"):
            SharBatches(tmp_path, 100, 5)


def same(one: Utterances, other: Utterances) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Utterances)]
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)
