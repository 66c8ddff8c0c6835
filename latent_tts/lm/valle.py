"""The other family of language models of speech: VALL-E, which speaks codes (Wang et al. 2023; Chen et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.errors import UserError
from latent_tts.frames import Chunk, FrameFormat, Sampling, Utterances
from latent_tts.lm.sizes import LMConfig
from latent_tts.lm.valle_ar import FirstCodes
from latent_tts.lm.valle_nar import LaterCodes


@dataclass(frozen=True)
class ValleLMConfig(LMConfig):
    """Sizes of a VALL-E.

    ``most_frames`` a phone, and as many as ``grace`` phones more have, end an utterance that does not stop: at 50
    frames a second four times what a PrefixLM has at 12.5. ``text_stride`` is PrefixLM's, for the first codes.
    """

    codebooks: int = 8  # codes a frame
    entries: int = 1024  # of each codebook
    layers: int = 5  # of the autoregressive Transformer
    nar_layers: int = 4  # of the other one
    group: int = 1  # first codes that one step draws (VALL-E 2)
    window: int = 10  # last codes among which repetition-aware sampling looks for the one that it drew
    most_repeated: float = 0.1  # share of them that may be this code; 1 is nucleus sampling alone
    most_frames: float = 16.0
    grace: float = 4.0
    text_stride: float | None = None

    def __post_init__(self):
        if self.codebooks < 2 or self.group < 1 or self.window < 1:
            raise UserError(
                f"lm: {self.codebooks} codebooks, groups of {self.group}, a window of {self.window}; want at least two "
                "codebooks, groups of one and a window of one"
            )

    def build(self) -> ValleLM:
        return ValleLM(self)


class ValleLM(nn.Module):
    """Two networks over codes. One speaks the first code of every frame, ``group`` frames a step, and the end; then
    the other one adds the later codes, one codebook at a time for all frames at once.

    So the frames of an utterance come together, as one chunk. Both read the reference's text where it is known and the
    utterance's as a prefix; ``starts`` are not used.
    """

    def __init__(self, config: ValleLMConfig = ValleLMConfig()):
        super().__init__()
        c = self.config = config
        self.ar = FirstCodes(c.vocabulary, c.entries, c.dim, c.layers, c.heads, c.group, c.dropout, c.text_stride)
        self.nar = LaterCodes(c.vocabulary, c.codebooks, c.entries, c.dim, c.nar_layers, c.heads, c.dropout)

    @property
    def frame_format(self) -> FrameFormat:
        return FrameFormat(self.config.codebooks, self.config.entries)

    def evaluations(self, frames: int, sampling: Sampling) -> dict[str, int]:
        """A step a group, of which the last has the end in it, and a pass for every codebook but the first."""
        steps = frames // self.config.group + 1
        return {"decoding_steps": steps, "network_evaluations": steps + self.config.codebooks - 1}

    def loss(self, batch: Utterances) -> dict[str, Tensor]:
        """``ar`` and ``nar``, both cross entropies in nats a code, the latter of one codebook, drawn anew each time."""
        codebook = int(torch.randint(1, self.config.codebooks, ()))
        ar, nar = self.ar.loss(batch), self.nar.loss(batch, codebook)
        return {"loss": ar + nar, "ar": ar, "nar": nar}

    @torch.inference_mode()
    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """One chunk with all frames of every row. UserError where another speed is asked for."""
        c = self.config
        phones = prompt.text_lens - prompt.prompt_text_lens
        limit = (c.most_frames * (phones + c.grace)).long()
        first, lens = self.ar.speak(prompt, sampling, limit, c.window, c.most_repeated)
        codes = self.nar.speak(joined(prompt, first, lens))
        place = torch.arange(first.shape[1], device=first.device)
        alive = place < lens[:, None]
        behind = (prompt.prompt_lens[:, None] + place).clamp(max=codes.shape[1] - 1)
        frames = codes.take_along_dim(behind[..., None], dim=1) * alive[..., None]
        yield Chunk(frames, alive, torch.full_like(place, -1).expand(len(prompt), -1))


def joined(prompt: Utterances, first: Tensor, lens: Tensor) -> Utterances:
    """A prompt with utterances behind its references of which the first codes (B, N) are known, ``lens`` (B,) of each;
    the others are 0."""
    total = prompt.prompt_lens + lens
    place = torch.arange(int(total.max()), device=first.device)
    heard = place < prompt.prompt_lens[:, None]
    spoken = first.gather(1, (place - prompt.prompt_lens[:, None]).clamp(0, first.shape[1] - 1))
    frames = F.pad(prompt.frames, (0, 0, 0, max(0, len(place) - prompt.frames.shape[1])))[:, : len(place)]
    frames = frames * heard[..., None]
    frames[..., 0] = torch.where(heard, frames[..., 0], spoken)
    return replace(prompt, frames=frames, frame_lens=total)
