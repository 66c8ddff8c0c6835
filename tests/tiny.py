"""Models small enough to be built in a moment, and the signals they are tried on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latent_tts.align.aligner import Aligner, AlignerConfig
from latent_tts.codec.autoencoder import Codec
from latent_tts.codec.bottleneck import SigmaVAEConfig
from latent_tts.codec.residual_vq import RVQConfig
from latent_tts.data.frame_pack import EncodedClip, write_frame_pack
from latent_tts.frames import FrameLM, Sampling, Utterances
from latent_tts.lm.aligned import AlignedLMConfig
from latent_tts.lm.dit import DiTLM, DiTLMConfig
from latent_tts.lm.latent_lm import LatentLM
from latent_tts.lm.prefix import PrefixLMConfig
from latent_tts.lm.transfusion import TransfusionLM, TransfusionLMConfig
from latent_tts.lm.valle import ValleLM, ValleLMConfig
from latent_tts.model_dir import save_part
from latent_tts.text.symbols import SymbolTable

LATENT_DIM = 6
CODEBOOKS, ENTRIES = 3, 32
QUICK = Sampling(steps=3)
CODEC_KINDS = {"sigma_vae": SigmaVAEConfig, "rvq": partial(RVQConfig, codebooks=CODEBOOKS, codebook_size=ENTRIES)}
LM_KINDS = {"latent_lm": partial(AlignedLMConfig, text_dim=16, max_advance=3), "prefix_lm": PrefixLMConfig}
WHOLE_KINDS = {"transfusion_lm": TransfusionLMConfig, "dit_lm": partial(DiTLMConfig, text_dim=16)}
DECISION_BIASES = {"advance": [2.0, 1.0, -1.0, -3.0], "stop": [-1.0]}  # some frames, and then an end


def awaken(module: nn.Module, seed: int = 0, std: float = 0.2) -> nn.Module:
    """Noise on whatever starts as a constant, such as zeros: no path through a network may be trivially right."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if (parameter == parameter.flatten()[0]).all():
                parameter.add_(std * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def tiny_codec(
    sample_rate: int = 16000,
    frame_rate: float = 12.5,
    seed: int = 0,
    decoder: str = "spectral",
    kind: str = "sigma_vae",
    **widths: int,
) -> Codec:
    """A codec with random weights, latent statistics that are not the identity, codebooks that fit the weights."""
    torch.manual_seed(seed)
    sizes = {"encoder_dim": 16, "frame_dim": 24, "decoder_dim": 32, "encoder_blocks": 2, "decoder_blocks": 2}
    sizes |= {"n_mels": 40, "expansion": 2, "decoder": decoder, **widths}
    codec = Codec(CODEC_KINDS[kind](sample_rate, frame_rate, LATENT_DIM, **sizes))
    codec.bottleneck.measure(torch.randn(50, LATENT_DIM) * torch.linspace(0.2, 2, LATENT_DIM) + 0.3)
    awaken(codec, seed)
    with torch.no_grad():
        codec.bottleneck.train()(codec.encoder(sound(4, 2 * sample_rate, seed)))
    return codec.eval()


def press(codec: Codec) -> Codec:
    """The codec with a basis in which one direction of its latents hardly moves, and its decoder makes much of it."""
    with torch.no_grad():
        codec.encoder.leave.weight[0] /= 100
        codec.encoder.leave.bias[0] /= 100
        codec.decoder.enter.weight[:, 0] *= 100
    return codec


def tiny_lm(seed: int = 0, kind: str = "latent_lm", **sizes: float) -> LatentLM:
    """A language model with random weights whose every row, at any temperature, speaks some frames."""
    torch.manual_seed(seed)
    small = {"frame_dim": LATENT_DIM, "dim": 32, "layers": 2, "heads": 2, "head_dim": 32, "head_layers": 2}
    lm = awaken(LM_KINDS[kind](**(small | {"vocabulary": len(SymbolTable.english())} | sizes)).build(), seed)
    with torch.no_grad():
        for block in lm.transformer.blocks:
            block.attention.out.weight.mul_(20)  # it starts small, and may be all that brings the text
        getattr(lm, lm.decision).bias.copy_(torch.tensor(DECISION_BIASES[lm.decision]))
    return lm


def tiny_valle(seed: int = 0, **sizes: float) -> ValleLM:
    """A VALL-E with random weights, for the codes of a tiny RVQ codec."""
    torch.manual_seed(seed)
    small = {"codebooks": CODEBOOKS, "entries": ENTRIES, "dim": 32, "layers": 2, "nar_layers": 2, "heads": 2}
    lm = awaken(ValleLMConfig(**(small | {"vocabulary": len(SymbolTable.english())} | sizes)).build(), seed)
    with torch.no_grad():
        for network in (lm.ar, lm.nar):
            network.code.weight.mul_(3)
            for block in network.transformer.blocks:
                block.attention.out.weight.mul_(20)
    return lm


def tiny_whole_lm(kind: str, seed: int = 0, **sizes: float) -> TransfusionLM | DiTLM:
    """A language model with random weights that makes utterances whole, about a frame a phone."""
    torch.manual_seed(seed)
    small = {"frame_dim": LATENT_DIM, "dim": 32, "layers": 2, "heads": 2, "vocabulary": len(SymbolTable.english())}
    lm = awaken(WHOLE_KINDS[kind](**(small | sizes)).build(), seed)
    with torch.no_grad():
        for block in lm.transformer.blocks:
            block.attention.out.weight.mul_(20)  # as in tiny_lm
    return lm


def tiny_aligner(seed: int = 0) -> Aligner:
    torch.manual_seed(seed)
    config = AlignerConfig(n_mels=40, dim=16, blocks=2, lookahead=3)
    return awaken(Aligner(SymbolTable.english().symbols, config, SymbolTable.SEPARATORS), seed)


def tiny_model(folder: Path, sample_rate: int = 16000, seed: int = 0, lm: str = "latent_lm") -> Path:
    """A whole model directory."""
    parts = {"codec": tiny_codec(sample_rate, seed=seed), "lm": tiny_lm(seed, lm), "aligner": tiny_aligner(seed)}
    for part, module in parts.items():
        save_part(folder, part, module)
    SymbolTable.english().write(folder / "phones.txt")
    return folder


def sound(batch: int, samples: int, seed: int = 0) -> Tensor:
    """(B, T): noise whose level comes and goes."""
    generator = torch.Generator().manual_seed(seed)
    swell = torch.sin(torch.arange(samples) / 900) ** 2
    return 0.1 * torch.randn(batch, samples, generator=generator) * swell


def tiny_frame_pack(folder: Path, speakers: str = "aaaabbbbcccc", seed: int = 0, coded: bool = False) -> Path:
    """A frame pack of noise: a clip for each letter of ``speakers``, a phone in every third frame. ``coded``: of codes,
    as a tiny RVQ codec has them."""
    rng, clips, frames, position = np.random.default_rng(seed), [], [], 0
    for speaker in speakers:
        count = int(rng.integers(16, 40))
        phones = tuple(rng.integers(10, 100, count // 3).tolist())
        clips.append(EncodedClip(speaker, position, count, phones, tuple(range(0, 3 * len(phones), 3))))
        frames.append(
            rng.integers(0, ENTRIES, (count, CODEBOOKS)) if coded else rng.standard_normal((count, LATENT_DIM))
        )
        position += count
    about = (None, ENTRIES) if coded else (np.full(LATENT_DIM, 0.1),)
    write_frame_pack(folder, frames, clips, *about)
    return folder


def utterance(phones: int, frames: int, prompt: int = 0, prompt_phones: int = 0, seed: int = 0) -> Utterances:
    """One row to learn from: a reference of ``prompt`` frames and ``prompt_phones`` phones, then an utterance of
    ``frames`` frames and ``phones`` phones. With ``frames`` 0 it is a prompt to continue."""
    generator = torch.Generator().manual_seed(seed)

    def spread(count: int, length: int) -> Tensor:
        return (torch.arange(count) * length) // max(count, 1)

    count, length = prompt_phones + phones, prompt + frames
    starts = torch.cat([spread(prompt_phones, prompt), prompt + spread(phones, frames)])
    return Utterances(
        text=torch.randint(1, 100, (1, count), generator=generator),
        text_lens=torch.tensor([count]),
        frames=torch.randn(1, length, LATENT_DIM, generator=generator),
        frame_lens=torch.tensor([length]),
        prompt_lens=torch.tensor([prompt]),
        prompt_text_lens=torch.tensor([prompt_phones]),
        starts=starts[None],
    )


def coded(row: Utterances, seed: int = 0) -> Utterances:
    """The same with random codes for frames."""
    generator = torch.Generator().manual_seed(seed)
    return replace(row, frames=torch.randint(ENTRIES, (*row.frames.shape[:2], CODEBOOKS), generator=generator))


def speak(lm: FrameLM, prompt: Utterances, sampling: Sampling = QUICK) -> list[Tensor]:
    """Frames (n, D | Q) of each row, as long as it is alive."""
    chunks = list(lm.generate(prompt, sampling))
    frames, alive = torch.cat([c.frames for c in chunks], 1), torch.cat([c.alive for c in chunks], 1)
    assert frames.shape[:2] == alive.shape and (alive.int().diff(dim=1) <= 0).all(), "a row came back to life"
    return [row[lives] for row, lives in zip(frames, alive)]
