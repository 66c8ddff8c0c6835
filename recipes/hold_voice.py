"""How much of a voice a language model holds, and where it loses it.

    recipes/hold_voice.py --data PACKS [--model MODEL]

Utterances of validation speakers behind references of theirs, drawn as in training: PACKS/valid holds frames of the
model's codec. Prints how much each of these is like the reference, by Resemblyzer, and like the stranger, in whose
place the last two put what is heard:

- recorded: the utterances' frames, which bound the others
- taught: each frame drawn behind those recorded before it
- free: each frame drawn behind those drawn before it, as when the model speaks
- strange: the recorded frames, moved to the voice of another row (latent_tts/lm/estranged.py)
- taught, strange: each frame drawn behind strange ones

A second table has the loss of recorded frames, as in training, behind recorded ones, strange ones, and those that the
model itself draws at the recorded pace: how much worse it goes on where its own voice has led it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from stage import progress, stage
from torch import Tensor

from latent_tts.data.cloning import CloningBatches, CloningConfig
from latent_tts.errors import UserError
from latent_tts.evaluate.report import figure, shown
from latent_tts.evaluate.similarity import cosine, embed
from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.estranged import in_voices_of
from latent_tts.lm.latent_lm import LatentLM
from latent_tts.lm.spans import reference_of, utterance_of
from latent_tts.model_dir import check_taught, load_codec, load_lm
from latent_tts.model_files import SHIPPED
from latent_tts.speaker import load_encoder

SHORTEST = 25  # frames of a reference and of an utterance: less does not tell a voice


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SHIPPED, help="model directory; default: the shipped one")
    parser.add_argument("--data", type=Path, required=True, help="frame packs, of which valid/ is heard")
    parser.add_argument("--batches", type=int, default=8, help="of 1000 frames each; default: 8")
    options = parser.parse_args(argv)
    lm, codec, encoder = load_lm(options.model).eval(), load_codec(options.model).eval(), load_encoder()
    if not isinstance(lm, LatentLM):
        raise UserError(f"{options.model}: its language model does not draw frames one after another")
    learnt = CloningBatches(options.data / "valid", 1000, options.batches, 1, CloningConfig(shortest=SHORTEST))
    check_taught(learnt.pack.folder, learnt.pack.frame_format, lm)
    found: dict[str, list[tuple[float, float]]] = {}
    lost: dict[str, list[float]] = {}
    for number in progress(range(options.batches), desc="hold", unit="batch"):
        torch.manual_seed(number)
        batch = learnt[number]
        for name, loss in losses(lm, batch).items():
            lost.setdefault(name, []).append(loss)
        references = list(voices(codec, encoder, reference_of(batch), batch.prompt_lens))
        said = {
            name: list(voices(codec, encoder, frames, lens)) for name, (frames, lens) in utterances(lm, batch).items()
        }
        for row in told(batch):
            for name, likeness in said.items():
                pair = references[row], said["recorded"][row - 1]
                found.setdefault(name, []).append(tuple(cosine(likeness[row], voice) for voice in pair))
    if not found:
        raise UserError(f"{options.data}/valid: nothing of {SHORTEST} frames behind a reference as long")
    print(table(found))
    print("| behind frames that are | loss of a frame |\n|---|---|")
    print(*(f"| {name} | {np.mean(values):.3f} |" for name, values in lost.items()), sep="\n")


def told(batch: Utterances) -> list[int]:
    """The rows in which reference and utterance are long enough to tell a voice, unless they are alone."""
    long = (batch.prompt_lens >= SHORTEST) & (batch.frame_lens - batch.prompt_lens >= SHORTEST)
    return long.nonzero()[:, 0].tolist() if len(batch) > 1 else []


@torch.inference_mode()
def utterances(lm: LatentLM, batch: Utterances) -> dict[str, tuple[Tensor, Tensor]]:
    """Frames (B, n, D) and their counts (B,) of the utterances in a batch, in each of the ways."""
    strange = made_strange(batch)
    prompt = replace(batch, frames=reference_of(batch), frame_lens=batch.prompt_lens)
    chunks = list(lm.generate(prompt, Sampling()))
    free = torch.cat([x.frames for x in chunks], dim=1), torch.cat([x.alive for x in chunks], dim=1).sum(dim=1)

    def behind_references(frames: Tensor) -> tuple[Tensor, Tensor]:
        return utterance_of(frames, batch), batch.frame_lens - batch.prompt_lens

    return {
        "recorded": behind_references(batch.frames),
        "taught": behind_references(lm.redrawn(batch, Sampling())),
        "free": free,
        "strange": behind_references(strange.frames),
        "taught, strange": behind_references(lm.redrawn(strange, Sampling())),
    }


@torch.inference_mode()
def losses(lm: LatentLM, batch: Utterances) -> dict[str, float]:
    """The loss of a batch's frames behind other frames of its utterances."""
    behind = {"recorded": batch, "strange": made_strange(batch), "its own": lm.retold(batch, Sampling())}
    learnt = {name: lm.learnt_behind(heard, batch)[:2] for name, heard in behind.items()}
    return {name: float(lm.head.loss(frames, cond).mean()) for name, (frames, cond) in learnt.items()}


def made_strange(batch: Utterances) -> Utterances:
    """A batch, each of whose utterances is moved to the voice of the row before."""
    return in_voices_of(batch, torch.arange(len(batch)).roll(1), torch.ones(len(batch)))


@torch.inference_mode()
def voices(codec: torch.nn.Module, encoder: object, frames: Tensor, lens: Tensor) -> Iterator[np.ndarray]:
    """Embeddings of what frames (B, n, D) of counts (B,) sound like, of nothing that of silence."""
    for row, count in zip(frames, lens.tolist()):
        wav = codec.decode(row[None, :count])[0, 0].numpy() if count else np.zeros(0, np.float32)
        yield embed(encoder, wav, codec.sample_rate)


def table(found: dict[str, list[tuple[float, float]]]) -> str:
    head = "| | n | like the reference | like the stranger |\n|---|---|---|---|\n"
    cells = {name: [shown("similarity", figure(values)) for values in zip(*pairs)] for name, pairs in found.items()}
    return head + "".join(f"| {name} | {len(found[name])} | {' | '.join(row)} |\n" for name, row in cells.items())


if __name__ == "__main__":
    sys.exit(main())
