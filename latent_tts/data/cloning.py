"""The batches that a language model learns cloning from: utterances behind references of the same speaker."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from latent_tts.data.frame_pack import EncodedClip, FramePack
from latent_tts.data.step_batches import StepBatches, dealt
from latent_tts.errors import UserError
from latent_tts.frames import Utterances, stack
from latent_tts.text.symbols import PAUSE_MARKS, WORD_SPACE, SymbolTable


@dataclass(frozen=True)
class CloningConfig:
    """How references are drawn and texts varied. Lengths are frames; the defaults are for 12.5 a second."""

    shortest: int = 13  # of a reference: 1 s
    longest: int = 375  # of a reference: 30 s
    trim: int = 6  # at most this much of a reference's tail is cut off: 0.5 s
    no_reference: float = 0.1  # how often a row has none
    no_reference_text: float = 0.5  # how often a reference comes without its text
    joined: float = 0.25  # how often a reference goes on in further clips where one is too short
    other_mark: float = 0.2  # how often a pause mark is another one, so that the rare ones are known too
    no_final_mark: float = 0.1  # how often the utterance's text ends without its punctuation

    def __post_init__(self):
        if not 1 <= self.shortest <= self.longest or self.trim < 0:
            raise UserError(
                f"cloning: references of {self.shortest} to {self.longest} frames, {self.trim} off the tail; "
                "want 1 <= shortest <= longest and 0 <= trim"
            )


class Plan(NamedTuple):
    """What an epoch does with each of M clips, and the clips of each batch."""

    others: np.ndarray  # (M,) the clip that the reference begins with
    wanted: np.ndarray  # (M,) frames that the reference may have, 0 for none
    joined: np.ndarray  # (M,) whether more clips may follow the first
    batches: list[list[int]]


class CloningBatches(StepBatches):
    """Item ``step``: Utterances of at most ``batch_frames`` frames, references and padding included.

    Each row is a clip behind a reference of the same speaker; every clip comes once an epoch. The reference's length is
    log-uniform between the shortest and the longest. It is one other clip or, at times, several joined. With text it
    ends between two words, so that its phones and its frames agree, and the trim takes no more than the pause there;
    without text it ends anywhere. Frames are as the codec draws them (``FramePack.drawn``): one sigma a row.

    Rows of about equal length share a batch. Since references are drawn anew in every epoch, so is who shares one. All
    of it depends on ``seed`` and ``step`` alone; a sampler that keeps a buffer, such as lhotse's
    DynamicBucketingSampler, would have to save its state for a run to be resumed exactly.
    """

    def __init__(
        self,
        pack: FramePack | Path,
        batch_frames: int,
        steps: int,
        seed: int = 0,
        config: CloningConfig = CloningConfig(),
    ):
        self.pack = pack if isinstance(pack, FramePack) else FramePack(pack)
        self.steps, self.seed, self.config = steps, seed, config
        self.batch_frames = batch_frames
        table = SymbolTable.english()
        self.separators = self.space, *self.marks = table.ids([WORD_SPACE, *PAUSE_MARKS])
        self.counts = np.array([clip.count for clip in self.pack.clips])
        self.speakers = _Speakers(self.pack.clips, self.counts >= config.shortest)
        self._ends: list[int] = [0]  # the step at which each epoch ends; an epoch's batches are not always as many
        self._planned: tuple[int, Plan] | None = None

    def share(self, step: int, rank: int, world: int) -> Utterances:
        epoch, plan = self._at(step)
        indices = plan.batches[step - self._ends[epoch]]
        return stack([self._row(index, epoch, plan) for index in dealt(indices, rank, world)])

    def _at(self, step: int) -> tuple[int, Plan]:
        """The epoch of ``step`` and its plan."""
        while self._ends[-1] <= step:
            self._plan(len(self._ends) - 1)
        epoch = bisect_right(self._ends, step) - 1
        return epoch, self._plan(epoch)

    def _plan(self, epoch: int) -> Plan:
        if self._planned is None or self._planned[0] != epoch:
            self._planned = epoch, self._drawn(np.random.default_rng((self.seed, epoch)))
        plan = self._planned[1]
        if epoch == len(self._ends) - 1:
            self._ends.append(self._ends[-1] + len(plan.batches))
        return plan

    def _drawn(self, rng: np.random.Generator) -> Plan:
        c, size = self.config, len(self.counts)
        others, available = self.speakers.others(rng)
        wanted = np.exp(rng.uniform(np.log(c.shortest), np.log(c.longest + 1), size)).astype(int)
        joined = rng.random(size) < c.joined
        reach = np.where(joined, available, np.where(others >= 0, self.counts[others], 0))
        wanted = np.minimum(np.minimum(wanted, reach), self.batch_frames - self.counts)
        wanted[(wanted < c.shortest) | (rng.random(size) < c.no_reference)] = 0
        total, batches = self.counts + wanted, [[]]
        for index in np.lexsort((rng.random(size), total)).tolist():
            if batches[-1] and total[index] * (len(batches[-1]) + 1) > self.batch_frames:
                batches.append([])
            batches[-1].append(index)
        return Plan(others, wanted, joined, [batches[i] for i in rng.permutation(len(batches))])

    def _row(self, index: int, epoch: int, plan: Plan) -> Utterances:
        clip, rng = self.pack.clips[index], np.random.default_rng((self.seed, epoch, index, 1))
        frames, phones, starts = self._reference(index, plan, rng)
        prompt, prompt_text = len(frames), len(phones)
        frames = np.concatenate([frames, self.pack.frames_of(clip)])
        frames = self.pack.drawn(frames, rng)
        phones = self._marked([*phones, *clip.phones], rng)
        return Utterances(
            text=torch.tensor([phones]),
            text_lens=torch.tensor([len(phones)]),
            frames=torch.from_numpy(frames[None]),
            frame_lens=torch.tensor([len(frames)]),
            prompt_lens=torch.tensor([prompt]),
            prompt_text_lens=torch.tensor([prompt_text]),
            starts=torch.tensor([[*starts, *(prompt + start for start in clip.starts)]]),
        )

    def _marked(self, phones: list[int], rng: np.random.Generator) -> list[int]:
        """Phones with some of their pause marks exchanged and, at times, without the last."""
        c = self.config
        phones = [rng.choice(self.marks) if p in self.marks and rng.random() < c.other_mark else p for p in phones]
        if phones[-1] in self.marks and rng.random() < c.no_final_mark:
            phones[-1] = self.space
        return phones

    def _reference(self, index: int, plan: Plan, rng: np.random.Generator) -> tuple[np.ndarray, list[int], list[int]]:
        """Frames (P, D | Q), phones and the frames in which they begin; nothing where there is no reference."""
        wanted, c = int(plan.wanted[index]), self.config
        if not wanted:
            return self.pack.frames_of(self.pack.clips[index])[:0], [], []
        clips = self._clips(index, wanted, plan, rng)
        phones, starts, count = joined(clips)
        told, trim = rng.random() >= c.no_reference_text, int(rng.integers(c.trim + 1))
        words = last_word_end(phones, starts, min(count, wanted), count, self.separators) if told else 0
        end = starts[words] if 0 < words < len(starts) else count
        if words and end >= c.shortest:
            end = max(end - trim, min(end, starts[words - 1] + 1), c.shortest)
            phones, starts = phones[:words], [min(start, end - 1) for start in starts[:words]]
        else:
            end, phones, starts = max(min(count, wanted) - trim, c.shortest), [], []
        return np.concatenate([self.pack.frames_of(clip) for clip in clips])[:end], phones, starts

    def _clips(self, index: int, wanted: int, plan: Plan, rng: np.random.Generator) -> list[EncodedClip]:
        """What the reference of clip ``index`` is cut from: one clip, or as many as give the ``wanted`` frames."""
        first = plan.others[index]
        clips = [self.pack.clips[first]]
        if plan.joined[index]:
            left = wanted - clips[0].count
            for more in rng.permutation(self.speakers.members(index)):
                if left <= 0:
                    break
                if more not in (index, first):
                    clips.append(self.pack.clips[more])
                    left -= clips[-1].count
        return clips


def joined(clips: list[EncodedClip]) -> tuple[list[int], list[int], int]:
    """Clips as one: its phones, the frames in which they begin, its frames.

    The word space that a clip begins with stands before the first word alone: the clip before ends in a separator.
    """
    phones, starts, count = [], [], 0
    for place, clip in enumerate(clips):
        first = min(place, 1)
        phones += clip.phones[first:]
        starts += [count + start for start in clip.starts[first:]]
        count += clip.count
    return phones, starts, count


def last_word_end(phones: list[int], starts: list[int], limit: int, count: int, separators: list[int]) -> int:
    """How many phones, a word's separator the last, are over by frame ``limit`` of ``count``; 0 where no word is.

    A phone is over where the next one begins, the last one at ``count``.
    """
    ends = [*starts[1:], count]
    return next((k + 1 for k in range(len(phones) - 1, 0, -1) if phones[k] in separators and ends[k] <= limit), 0)


class _Speakers:
    """Who speaks which clips, of those ``long`` enough (M,) for a reference."""

    def __init__(self, clips: list[EncodedClip], long: np.ndarray):
        names, self.speaker = np.unique([clip.speaker for clip in clips], return_inverse=True)
        self.order = np.flatnonzero(long)[np.argsort(self.speaker[long], kind="stable")]
        self.sizes = np.bincount(self.speaker[long], minlength=len(names))
        self.firsts = np.cumsum(self.sizes) - self.sizes
        self.rank = np.full(len(clips), -1)  # place among the speaker's long clips
        self.rank[self.order] = np.arange(len(self.order)) - self.firsts[self.speaker[self.order]]
        counts = np.array([clip.count for clip in clips])
        self.available = np.bincount(self.speaker, counts * long, len(names)).astype(int)[self.speaker] - counts * long

    def members(self, index: int) -> np.ndarray:
        """The long clips of the speaker of clip ``index``, itself perhaps among them."""
        speaker = self.speaker[index]
        return self.order[self.firsts[speaker] : self.firsts[speaker] + self.sizes[speaker]]

    def others(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """For every clip another long one of its speaker, -1 where there is none, and the frames of all others."""
        choices = self.sizes[self.speaker] - (self.rank >= 0)
        drawn = np.minimum((rng.random(len(choices)) * choices).astype(int), choices - 1)
        drawn += (self.rank >= 0) & (drawn >= self.rank)
        place = np.minimum(self.firsts[self.speaker] + np.maximum(drawn, 0), len(self.order) - 1)
        return np.where(choices > 0, self.order[place] if len(self.order) else -1, -1), self.available
