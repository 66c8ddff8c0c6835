"""LatentLM: a causal Transformer over frames whose next frame is drawn by a head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Chunk, FrameFormat, Sampling, Utterances
from latent_tts.lm.conditioning import AlignedText, ReferenceEncoder, pointers_of
from latent_tts.lm.heads import build_head
from latent_tts.lm.pointer import PointerWalk
from latent_tts.nn.state import State
from latent_tts.nn.transformer import Transformer


@dataclass(frozen=True)
class LatentLMConfig:
    """Sizes and regularisation of a language model of frames."""

    frame_dim: int = 64
    vocabulary: int = 106  # symbols of phones.txt
    dim: int = 384
    layers: int = 6
    heads: int = 6
    text_dim: int = 256
    head: str = "ddpm"  # how a frame is drawn: ddpm, flow or energy
    head_dim: int = 384
    head_layers: int = 3
    draws: int = 4  # noises a frame in training
    guidance: str | None = None  # of the head's output or of its condition; None: as is usual for the head
    previous_frame: bool = False  # whether the head's condition has the frame before in it
    max_advance: int = 7  # phones that may begin in one frame
    dropout: float = 0.1
    condition_dropout: float = 0.1  # how often the head learns without its condition, for guidance
    advance_weight: float = 0.2


class LatentLM(nn.Module):
    """Next-token diffusion over codec frames (Sun et al. 2024), reading text through a monotone pointer.

    Step t sees the frame before it, how many phones began in that frame, the phones around the pointer, whether it
    belongs to the reference, and the voice as one vector. It draws first how many phones begin in its own frame, then
    the frame itself, given that.
    """

    def __init__(self, config: LatentLMConfig = LatentLMConfig()):
        super().__init__()
        c = self.config = config
        self.text = AlignedText(c.vocabulary, c.text_dim, c.dim, dropout=c.dropout)
        self.reference = ReferenceEncoder(c.frame_dim, c.text_dim, c.dim, dropout=c.dropout)
        self.frame = nn.Linear(c.frame_dim, c.dim)
        self.first = nn.Parameter(torch.zeros(c.dim))  # in place of the frame before the first
        self.begun = nn.Embedding(c.max_advance + 1, c.dim)
        self.segment = nn.Embedding(2, c.dim)  # 0 utterance, 1 reference
        self.transformer = Transformer(c.dim, c.layers, c.heads, c.dropout)
        self.advance = nn.Linear(c.dim, c.max_advance + 1)
        self.chosen = nn.Embedding(c.max_advance + 1, c.dim)
        self.condition = nn.Sequential(nn.Linear(c.dim, c.dim), nn.SiLU(), nn.Linear(c.dim, c.dim))
        self.null = nn.Parameter(torch.zeros(c.dim))
        self.previous = nn.Linear(c.frame_dim, c.dim, bias=False) if c.previous_frame else None
        self.head = build_head(c.head, c.frame_dim, c.dim, c.head_dim, c.head_layers, c.draws, c.guidance)
        for embedding in (self.begun, self.segment, self.chosen, self.text.embedding):
            nn.init.normal_(embedding.weight, std=0.3)

    @property
    def frame_format(self) -> FrameFormat:
        return FrameFormat(self.config.frame_dim)

    def loss(self, batch: Utterances) -> dict[str, Tensor]:
        """``frame``: the head's loss; ``advance``: cross entropy of the pointer's moves, in nats."""
        frames, cond, advance = self.learnt(batch)
        dropped = torch.rand(len(cond), 1, device=cond.device) < self.config.condition_dropout
        frame = self.head.loss(frames, torch.where(dropped, self.null, cond)).mean()
        return {"loss": frame + self.config.advance_weight * advance, "frame": frame, "advance": advance}

    def learnt(self, batch: Utterances) -> tuple[Tensor, Tensor, Tensor]:
        """What a batch teaches: frames (M, D), the conditions (M, H) to draw them from, the loss () of the advances."""
        count = batch.frames.shape[1] + 1
        states, voice = self._read(batch)
        pointers = pointers_of(batch.starts, batch.text_lens, batch.frame_lens, count + 1)
        advances = (pointers[:, 1:] - pointers[:, :-1]).clamp(max=self.config.max_advance)
        hidden = self.transformer(self._inputs(batch, states, voice, pointers[:, :-1], advances))
        learnt = self._has_text(batch, count)
        time = torch.arange(count, device=learnt.device)
        decided, drawn = learnt & (time <= batch.frame_lens[:, None]), learnt & (time < batch.frame_lens[:, None])
        advance = F.cross_entropy(self.advance(hidden[decided]).float(), advances[decided])
        before = F.pad(batch.frames, (0, 0, 1, 0))
        cond = self._condition(hidden, advances, states, pointers[:, 1:], voice, before)
        return batch.frames[drawn[:, :-1]], cond[drawn], advance

    @torch.inference_mode()
    def generate(self, prompt: Utterances, sampling: Sampling) -> Iterator[Chunk]:
        """One frame a chunk until the pointer of every row has passed its last phone.

        ``prompt`` holds the references' frames, the phones of references and utterances, and the ``starts`` of the
        references' phones.
        """
        states, voice = self._read(prompt)
        state, padding = State(), prompt.frames.shape[1] - prompt.frame_lens
        padding = padding if padding.any() else None
        hidden = self.transformer(self._prefix(prompt, states, voice), state, padding)[:, -1:]
        walk = PointerWalk(prompt, self.config.max_advance, sampling)
        before = F.pad(prompt.frames, (0, 0, 1, 0)).take_along_dim(prompt.frame_lens[:, None, None], dim=1)
        while True:
            advances = walk.step(self.advance(hidden[:, 0]).float())
            if not walk.alive.any():
                return
            cond = self._condition(hidden, advances[:, None], states, walk.pointers[:, None], voice, before)[:, 0]
            frames = self.head.sample(cond, self.null, sampling, walk.noise(self.head.noise_dim))
            before = frames[:, None]
            yield Chunk(before, walk.alive[:, None], walk.spoken[:, None])
            x = self.frame(frames) + self.begun(advances) + self.segment.weight[0] + voice
            x = x + self.text.window_before(states, walk.pointers[:, None])[:, 0]
            hidden = self.transformer(x[:, None], state, padding)

    def _read(self, batch: Utterances) -> tuple[Tensor, Tensor]:
        """Text states (B, L + 2, C) and voice vectors (B, H)."""
        voice = self.reference(batch.frames[:, : int(batch.prompt_lens.max())], batch.prompt_lens)
        return self.text.encode(batch.text, batch.text_lens), voice

    def _has_text(self, batch: Utterances, count: int) -> Tensor:
        """(B, count) whether a step's text is known: in the utterance always, in the reference if given."""
        spoken = torch.arange(count, device=batch.text.device) >= batch.prompt_lens[:, None]
        return spoken | (batch.prompt_text_lens > 0)[:, None]

    def _inputs(self, batch: Utterances, states: Tensor, voice: Tensor, pointers: Tensor, advances: Tensor) -> Tensor:
        """Step inputs (B, N + 1, H) from frames (B, N, D), pointers and advances (B, N + 1)."""
        count = pointers.shape[1]
        before = F.pad(self.begun(advances[:, :-1]) + self.frame(batch.frames), (0, 0, 1, 0))
        start = (torch.arange(count, device=before.device) == 0)[:, None] * self.first
        window = self.text.window_before(states, pointers)
        window = torch.where(self._has_text(batch, count)[..., None], window, self.text.unknown)
        reference = torch.arange(count, device=before.device) < batch.prompt_lens[:, None]
        return before + start + window + self.segment(reference.long()) + voice[:, None]

    def _prefix(self, prompt: Utterances, states: Tensor, voice: Tensor) -> Tensor:
        """Inputs (B, P + 1, H) up to the utterance's first step, rows aligned at their ends."""
        count = prompt.frames.shape[1] + 1
        pointers = pointers_of(prompt.starts, prompt.prompt_text_lens, prompt.frame_lens, count + 1)
        advances = (pointers[:, 1:] - pointers[:, :-1]).clamp(max=self.config.max_advance)
        x = self._inputs(prompt, states, voice, pointers[:, :-1], advances)
        shift = prompt.frame_lens[:, None] + 1 - count + torch.arange(count, device=x.device)
        return x.gather(1, shift.clamp(min=0)[..., None].expand_as(x))

    def _condition(
        self, hidden: Tensor, advances: Tensor, states: Tensor, pointers: Tensor, voice: Tensor, before: Tensor
    ) -> Tensor:
        """What the head is given: (B, N, H) from hidden states, the advances drawn and the pointers they lead to.

        ``before`` (B, N, D) are the frames before those that are to be drawn, zeros where there is none.
        """
        window = self.text.window_after(states, pointers)
        cond = self.condition(hidden + self.chosen(advances) + window + voice[:, None])
        return cond if self.previous is None else cond + self.previous(before)
