"""The first code of every frame, one group of frames after another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.draws import RowDraws
from latent_tts.lm.latent_lm import at_their_ends
from latent_tts.lm.prefix import own_stride, positions_at_their_ends, text_before_frames, text_beside_frames
from latent_tts.lm.repetition import RepetitionAware
from latent_tts.lm.walks import refuse_speed, tell_of_cut
from latent_tts.nn.state import State
from latent_tts.nn.transformer import Transformer


class FirstCodes(nn.Module):
    """A causal Transformer over text, a start, and groups of G first codes; behind the last code comes the end.

        inputs    a b c d | 01 23 45        G = 2; "|" in place of a group; a b: what frames 0 to 3 say, the reference
        draws             01 23 45 6.       "." is the end

    Codes of a group are embedded, joined and projected; a step's state is projected to G states that are scored by the
    codes' own embeddings (VALL-E 2, section 3.2). A reference whose frames are no whole number of groups loses its
    first few. Behind an end in its group stand ends, which are not learnt. What cannot be read is not learnt either: a
    reference without text is context only.
    """

    def __init__(
        self,
        vocabulary: int,
        entries: int,
        dim: int,
        layers: int,
        heads: int,
        group: int,
        dropout: float,
        text_stride: float | None = None,
    ):
        super().__init__()
        self.group, self.end, self.scale, self.text_stride = group, entries, dim**0.5, text_stride
        self.text = nn.Embedding(vocabulary, dim)
        self.segment = nn.Embedding(4, dim)  # codes of 0 utterance, 1 reference; text of 2 and 3
        self.first = nn.Parameter(torch.zeros(dim))  # in place of the group before the first
        self.code = nn.Embedding(entries + 1, dim)
        self.join = nn.Linear(group * dim, dim, bias=False) if group > 1 else nn.Identity()
        self.transformer = Transformer(dim, layers, heads, dropout)
        self.part = nn.Linear(dim, group * dim, bias=False) if group > 1 else nn.Identity()
        for embedding in (self.text, self.segment):
            nn.init.normal_(embedding.weight, std=0.3)
        nn.init.normal_(self.code.weight, std=0.3 / self.scale)  # it enters scaled up, so that scores begin small

    def loss(self, batch: Utterances) -> Tensor:
        """Cross entropy in nats, a mean over the codes and ends that are to be learnt."""
        groups, known = self.lesson(batch)
        logits = self(batch, groups[:, :-1])
        return F.cross_entropy(logits[known].float(), groups[known])

    def lesson(self, batch: Utterances) -> tuple[Tensor, Tensor]:
        """First codes and the end of each row in groups (B, M, G), and which of them are learnt (B, M, G)."""
        groups, lens, heard = self._grouped(batch)
        place = torch.arange(groups[0].numel(), device=groups.device)
        readable = (place >= heard[:, None]) | (batch.prompt_text_lens > 0)[:, None]
        return groups, (readable & (place <= lens[:, None])).view(groups.shape)

    def forward(self, batch: Utterances, groups: Tensor) -> Tensor:
        """Logits (B, M + 1, G, entries + 1) of every group behind the text and the groups (B, M, G) before it."""
        inputs, padding = self._inputs(batch, groups)
        positions = self._positions(batch, groups.shape[1] + 1, own_stride(batch))
        states = self.transformer(inputs, padding=padding if padding.any() else None, positions=positions)
        return self.scores(states[:, -groups.shape[1] - 1 :])

    def scores(self, states: Tensor) -> Tensor:
        """(..., H) -> logits (..., G, entries + 1)."""
        return self.part(states).unflatten(-1, (self.group, -1)) @ self.code.weight.T

    @torch.inference_mode()
    def speak(
        self, prompt: Utterances, sampling: Sampling, limit: Tensor, window: int, most_repeated: float
    ) -> tuple[Tensor, Tensor]:
        """First codes (B, N) of every row's utterance and how many they are (B,): one at least and ``limit`` (B,) at
        most, which is logged as a warning. See RepetitionAware for ``window`` and ``most_repeated``."""
        refuse_speed(sampling)
        rows, device = len(prompt), prompt.text.device
        draws = RowDraws(sampling.seeds(rows))
        history = last_codes(prompt, window)
        draw = RepetitionAware(history, most_repeated, draws, sampling.top_p, sampling.code_temperature)
        inputs, padding, positions = self.prompted(prompt)
        past, made, phones = State(), [], prompt.text_lens - prompt.prompt_text_lens
        alive, lens = torch.ones(rows, dtype=torch.bool, device=device), torch.zeros_like(phones)
        state = self.transformer(inputs, past, padding, positions)[:, -1]
        while True:
            for logits in self.scores(state).unbind(dim=1):
                if not made:
                    logits[:, self.end] = float("-inf")
                made.append(draw(logits))
                alive = alive & (made[-1] != self.end)
                cut = alive & (lens >= limit)
                tell_of_cut(phones[cut].tolist(), len(made) - 1)
                alive = alive & ~cut
                lens = lens + alive
            if not alive.any():
                return torch.stack(made, dim=1)[:, : int(lens.max())], lens
            group = torch.stack(made[-self.group :], dim=1)[:, None]
            state = self.transformer(self._embedded(group) + self.segment.weight[0], past, padding)[:, 0]

    def prompted(self, prompt: Utterances) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Inputs (B, L + M + 1, H) up to the utterance's first step, rows aligned at their ends, their padding and
        positions."""
        groups, lens, _ = self._grouped(prompt)
        inputs, _ = self._inputs(prompt, groups[:, :-1])
        count = lens // self.group + 1
        positions = self._positions(prompt, inputs.shape[1] - prompt.text.shape[1], self.text_stride)
        positions = positions_at_their_ends(positions, prompt.text.shape[1] + count)
        inputs, _ = at_their_ends(inputs, prompt.text.shape[1] + count)
        padding = inputs.shape[1] - prompt.text_lens - count
        return inputs, padding if padding.any() else None, positions

    def _positions(self, batch: Utterances, steps: int, stride: Tensor | float | None) -> Tensor | None:
        """Those of texts and ``steps`` groups, the start the first of them."""
        return None if self.text_stride is None else text_beside_frames(batch, steps, stride, self.group)

    def _grouped(self, batch: Utterances) -> tuple[Tensor, Tensor, Tensor]:
        """First codes with ends behind them, from where they are whole groups up to the reference's end: (B, M, G),
        how many codes are in them (B,) and how many of the reference (B,)."""
        left_out = batch.prompt_lens % self.group
        lens, heard = batch.frame_lens - left_out, batch.prompt_lens - left_out
        place = torch.arange((batch.frames.shape[1] // self.group + 1) * self.group, device=lens.device)
        codes = F.pad(batch.frames[..., 0], (0, 1), value=self.end)
        codes = codes.gather(1, (place + left_out[:, None]).clamp(max=codes.shape[1] - 1))
        return codes.where(place < lens[:, None], self.end).unflatten(1, (-1, self.group)), lens, heard

    def _inputs(self, batch: Utterances, groups: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L + 1 + M, H): texts that end together, the start, groups (B, M, G); the padding before them (B,)."""
        text, padding = text_before_frames(self.text, self.segment, batch)
        steps = torch.cat([self.first.expand(len(text), 1, -1), self._embedded(groups)], dim=1)
        heard = torch.arange(steps.shape[1], device=text.device) < (batch.prompt_lens // self.group)[:, None]
        return torch.cat([text, steps + self.segment(heard.long())], dim=1), padding

    def _embedded(self, groups: Tensor) -> Tensor:
        """(B, M, G) -> (B, M, H)."""
        return self.join((self.scale * self.code(groups)).flatten(2))


def last_codes(prompt: Utterances, count: int) -> Tensor:
    """(B, count): the last first codes of each reference, -1 before its beginning."""
    place = prompt.prompt_lens[:, None] - count + torch.arange(count, device=prompt.text.device)
    codes = F.pad(prompt.frames[..., 0], (1, 0), value=-1)
    return codes.gather(1, (place + 1).clamp(min=0))
