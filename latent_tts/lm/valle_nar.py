"""The later codes of every frame, one codebook at a time and all frames at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latent_tts.frames import Utterances
from latent_tts.lm.prefix import text_before_frames
from latent_tts.nn.bidirectional import MaskedTransformer


class LaterCodes(nn.Module):
    """A Transformer that sees everything at once: text, all codes of the reference's frames, and of the utterance's
    those of the codebooks before the one that it scores.

    A frame enters as the sum of its codes' embeddings, which score codes as well (VALL-E, section 4.2.2). Which
    codebook is asked for is told by an embedding: VALL-E 2 puts it behind the sequence, here every step has it.
    """

    def __init__(
        self, vocabulary: int, codebooks: int, entries: int, dim: int, layers: int, heads: int, dropout: float
    ):
        super().__init__()
        self.codebooks, self.entries, self.scale = codebooks, entries, dim**0.5
        self.text = nn.Embedding(vocabulary, dim)
        self.segment = nn.Embedding(4, dim)  # frames of 0 utterance, 1 reference; text of 2 and 3
        self.asked = nn.Embedding(codebooks, dim)
        self.code = nn.Embedding(codebooks * entries, dim)  # of all codebooks, one behind another
        self.transformer = MaskedTransformer(dim, layers, heads, dropout)
        for embedding in (self.text, self.segment, self.asked):
            nn.init.normal_(embedding.weight, std=0.3)
        nn.init.normal_(self.code.weight, std=0.3 / self.scale)

    def loss(self, batch: Utterances, codebook: int) -> Tensor:
        """Cross entropy in nats of the utterances' codes of ``codebook``, counted from 0, which has none before it."""
        place = torch.arange(batch.frames.shape[1], device=batch.frames.device)
        learnt = (place >= batch.prompt_lens[:, None]) & (place < batch.frame_lens[:, None])
        logits = self.scores(self.states(batch, codebook)[learnt], codebook)
        return F.cross_entropy(logits.float(), batch.frames[..., codebook][learnt])

    def speak(self, batch: Utterances) -> Tensor:
        """Frames (B, N, Q) of rows whose utterances' later codes are not known yet: for each codebook the likeliest."""
        codes = batch.frames.clone()
        spoken = torch.arange(codes.shape[1], device=codes.device) >= batch.prompt_lens[:, None]
        for codebook in range(1, self.codebooks):
            likeliest = self.scores(self.states(batch, codebook, codes), codebook).argmax(dim=-1)
            codes[..., codebook] = torch.where(spoken, likeliest, codes[..., codebook])
        return codes

    def states(self, batch: Utterances, codebook: int, codes: Tensor | None = None) -> Tensor:
        """(B, N, H) of the frames when ``codebook`` is asked for; ``codes`` (B, N, Q) in place of the batch's."""
        codes = batch.frames if codes is None else codes
        text, padding = text_before_frames(self.text, self.segment, batch)
        place = torch.arange(codes.shape[1], device=codes.device)
        heard = place < batch.prompt_lens[:, None]
        frames = self._embedded(codes, heard, codebook) + self.segment(heard.long())
        x = torch.cat([text, frames], dim=1) + self.asked.weight[codebook]
        read = torch.arange(text.shape[1], device=codes.device) >= padding[:, None]
        visible = torch.cat([read, place < batch.frame_lens[:, None]], dim=1)
        places = torch.arange(x.shape[1], device=codes.device)[None]
        return self.transformer(x, places, visible[:, None, None])[:, text.shape[1] :]

    def scores(self, states: Tensor, codebook: int) -> Tensor:
        """(..., H) -> logits (..., entries) of a codebook."""
        return states @ self.code.weight[codebook * self.entries : (codebook + 1) * self.entries].T

    def _embedded(self, codes: Tensor, heard: Tensor, codebook: int) -> Tensor:
        """Codes (B, N, Q) -> (B, N, H): of ``heard`` (B, N) frames all of them, of others those before ``codebook``."""
        number = torch.arange(self.codebooks, device=codes.device)
        known = (heard[..., None] | (number < codebook)).to(self.code.weight.dtype)
        rows = (codes + number * self.entries).flatten(0, 1)
        bag = F.embedding_bag(rows, self.code.weight, mode="sum", per_sample_weights=known.flatten(0, 1))
        return self.scale * bag.unflatten(0, codes.shape[:2])
