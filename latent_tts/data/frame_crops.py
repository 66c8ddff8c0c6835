"""Random pieces of encoded or spoken clips, all of one length."""

from __future__ import annotations

import numpy as np

from latent_tts.data.frame_pack import FramePack
from latent_tts.data.step_batches import StepBatches, dealt
from latent_tts.errors import UserError


class FrameCrops(StepBatches):
    """Item ``step`` is (B, ``count``, D | Q): pieces of the pack's clips, each clip as likely as any, each place in it
    as well. UserError where no clip is so long."""

    def __init__(self, pack: FramePack, batch_size: int, count: int, steps: int, seed: int = 0):
        self.pack, self.batch_size, self.count, self.steps, self.seed = pack, batch_size, count, steps, seed
        self.clips = [clip for clip in pack.clips if clip.count >= count]
        if not self.clips:
            raise UserError(f"{pack.folder} holds no clip of {count} frames; give longer ones, or crop less")

    def share(self, step: int, rank: int, world: int) -> np.ndarray:
        rows = dealt(range(self.batch_size), rank, world)
        return np.stack([self._crop(np.random.default_rng((self.seed, step, row, 2))) for row in rows])

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        clip = self.clips[rng.integers(len(self.clips))]
        place = rng.integers(clip.count - self.count + 1)
        return self.pack.frames_of(clip)[place : place + self.count]
