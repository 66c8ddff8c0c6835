"""References and utterances as spans of frames."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from latent_tts.frames import Utterances
from latent_tts.lm.draws import RowDraws
from latent_tts.lm.pointer import PointerWalk


def within(lens: Tensor, count: int) -> Tensor:
    """(B,) -> (B, count) bool: the first ``lens`` places of each row."""
    return torch.arange(count, device=lens.device) < lens[:, None]


def phones_to_say(batch: Utterances) -> Tensor:
    """(B, L) bool: the utterances' phones."""
    count = batch.text.shape[1]
    return within(batch.text_lens, count) & ~within(batch.prompt_text_lens, count)


def frames_to_say(batch: Utterances) -> Tensor:
    """(B, N) bool: the utterances' frames."""
    count = batch.frames.shape[1]
    return within(batch.frame_lens, count) & ~within(batch.prompt_lens, count)


def reference_of(batch: Utterances) -> Tensor:
    """The references' frames (B, P, D), each followed by what is no part of it."""
    return batch.frames[:, : int(batch.prompt_lens.max())]


def utterance_of(values: Tensor, batch: Utterances) -> Tensor:
    """What ``values`` (B, N, ...) hold at the utterances' frames: (B, n, ...), rows of ``frame_lens - prompt_lens``,
    anything behind them."""
    steps = torch.arange(int((batch.frame_lens - batch.prompt_lens).max()), device=values.device)
    places = (batch.prompt_lens[:, None] + steps).clamp(max=values.shape[1] - 1)
    return values[torch.arange(len(values), device=values.device)[:, None], places]


def at_utterances(values: Tensor, batch: Utterances) -> Tensor:
    """The reverse: (B, n, D) -> (B, N, D), zeros where there is no frame of an utterance."""
    steps = torch.arange(batch.frames.shape[1], device=values.device) - batch.prompt_lens[:, None]
    rows = torch.arange(len(values), device=values.device)[:, None]
    return values[rows, steps.clamp(0, values.shape[1] - 1)] * frames_to_say(batch)[..., None]


def durations_of(batch: Utterances) -> Tensor:
    """(B, L) frames from each phone's start to the next's, for the utterances' phones; anything elsewhere.

    The first phone has what is before it in the utterance, the last one what is left.
    """
    phones = torch.arange(batch.text.shape[1], device=batch.text.device)
    begins = torch.where(phones == batch.prompt_text_lens[:, None], batch.prompt_lens[:, None], batch.starts)
    ends = torch.where(phones + 1 == batch.text_lens[:, None], batch.frame_lens[:, None], begins.roll(-1, dims=1))
    return ends - begins


def planned(prompt: Utterances, durations: Tensor, speed: float) -> Utterances:
    """A prompt laid out: the utterances' phones begin, and frames end, as ``durations`` (B, L), expected frames of each
    phone, ask for. At normal speed no phone is longer than a pointer could stay on it; no utterance is empty. Frames
    (B, N, D) are what the prompt's are, zeros behind them."""
    said = phones_to_say(prompt)
    durations = durations.clamp(max=PointerWalk.longest) / speed * said
    ends = durations.cumsum(dim=1)
    counts = ends[:, -1].round().long().clamp(min=1)
    begins = (ends - durations).round().long().minimum(counts[:, None] - 1)
    lens = prompt.prompt_lens + counts
    return replace(
        prompt,
        frames=F.pad(prompt.frames, (0, 0, 0, int(lens.max()) - prompt.frames.shape[1])),
        frame_lens=lens,
        starts=torch.where(said, prompt.prompt_lens[:, None] + begins, prompt.starts),
    )


def frames_of_noise(draws: RowDraws, count: int, dim: int) -> Tensor:
    """(B, count, dim) of unit variance. Drawn one by one: a row's first frames do not depend on how many follow."""
    return torch.stack([torch.from_numpy(draws.normal(dim)) for _ in range(count)], dim=1)
