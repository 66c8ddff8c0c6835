"""Training batches straight from shards, for corpora that fit neither one memory nor one disk."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

import numpy as np

from latent_tts.data.cloning import CloningBatches, CloningConfig
from latent_tts.data.shar import Shards, pack_of
from latent_tts.data.step_batches import StepBatches
from latent_tts.errors import UserError
from latent_tts.frames import Utterances


class SharBatches(StepBatches):
    """Item ``step``: Utterances of at most ``batch_frames`` frames, as CloningBatches makes them of a frame pack.

    An epoch reads all shards in a random order, a chapter of them at a time: as many as have ``held`` frames between
    them (2 million: 44 hours at 12.5 a second, 260 MB at 64 floats). A chapter alone is in memory; its clips are drawn
    as those of a whole corpus are, references among them, for as many steps as its frames fill ``passes`` times.
    CloningBatches fills about two frames for one of a clip, the reference's included, so a clip comes about once an
    epoch, not exactly once.

    Chapters and their steps follow from ``shards.json`` and ``seed``: what a step holds depends on them and the step
    alone, and a run is resumed exactly, with as many processes or with others, having read one chapter. Every process,
    and every worker of a data loader, holds a chapter of its own.
    """

    passes = 2.0

    def __init__(
        self,
        folder: Path,
        batch_frames: int,
        steps: int,
        seed: int = 0,
        config: CloningConfig = CloningConfig(),
        held: int = 2_000_000,
    ):
        self.pack, self.batch_frames, self.steps = Shards(folder), batch_frames, steps
        self.seed, self.config, self.held = seed, config, held
        if not self.pack.sizes[:, 1].sum():
            raise UserError(f"{folder} holds no clip; export a frame pack that has some")
        self._ends: list[int] = [0]  # the step at which each epoch ends
        self._epoch: tuple[int, list[np.ndarray], np.ndarray] | None = None
        self._chapter: tuple[tuple[int, int], CloningBatches] | None = None

    def share(self, step: int, rank: int, world: int) -> Utterances:
        while self._ends[-1] <= step:
            self._ends.append(self._ends[-1] + int(self._planned(len(self._ends) - 1)[1][-1]))
        epoch = bisect_right(self._ends, step) - 1
        ends = self._planned(epoch)[1]
        place = step - self._ends[epoch]
        chapter = int(np.searchsorted(ends, place, side="right"))
        return self._read(epoch, chapter).share(place - int(ends[chapter - 1] if chapter else 0), rank, world)

    def _planned(self, epoch: int) -> tuple[list[np.ndarray], np.ndarray]:
        """The chapters of an epoch, shard numbers each, and the step of the epoch at which each ends."""
        if self._epoch is None or self._epoch[0] != epoch:
            order = np.random.default_rng((self.seed, epoch, 2)).permutation(len(self.pack))
            frames = self.pack.sizes[order, 1]
            begins = np.flatnonzero(np.diff((np.cumsum(frames) - frames) // self.held)) + 1
            sizes = [part.sum() for part in np.split(frames, begins)]
            steps = np.maximum(1, np.rint(self.passes * np.array(sizes) / self.batch_frames)).astype(int)
            self._epoch = epoch, np.split(order, begins), np.cumsum(steps)
        return self._epoch[1:]

    def _read(self, epoch: int, chapter: int) -> CloningBatches:
        """The batches of a chapter, which is kept until another one is wanted."""
        if self._chapter is None or self._chapter[0] != (epoch, chapter):
            self._chapter = None  # not two at a time
            chapters, ends = self._planned(epoch)
            pack = pack_of(self.pack, sorted(chapters[chapter].tolist()))
            seed = int(np.random.SeedSequence((self.seed, epoch, chapter)).generate_state(1)[0])
            batches = CloningBatches(pack, self.batch_frames, int(ends[-1]), seed, self.config)
            self._chapter = (epoch, chapter), batches
        return self._chapter[1]
