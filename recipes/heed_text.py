"""Whether a language model heeds its text: its losses on validation speakers with the texts of their own and with each
other's.

    recipes/heed_text.py --exp EXP --data PACKS

A model with text as a prefix can learn to speak without looking at it; its loss then does not tell the one from the
other. Prints a table: each loss with the rows' own texts, with the text of the row before in the batch, and how much
more that costs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pack_model import restore
from stage import progress, stage

from latent_tts.errors import UserError
from latent_tts.frames import Utterances
from latent_tts.lm.aligned import AlignedLM
from latent_tts.lm.dit import DiTLM
from latent_tts.train.lm_task import LMTask


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exp", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--data", type=Path, required=True, help="frame packs train/ and valid/, as it was trained on")
    options = parser.parse_args(argv)
    task = restore(LMTask, options.exp)
    lm = task.average.module.eval()
    if isinstance(lm, (AlignedLM, DiTLM)):
        raise UserError(f"{options.exp}: its model is told where each phone begins, so texts cannot be exchanged")
    batches, losses = task.datasets(options.data)[1], ([], [])
    for number in progress(range(len(batches)), desc="heed", unit="batch"):
        batch = batches[number]
        if len(batch) > 1:
            for texts, found in zip((batch, exchanged(batch)), losses):
                found.append(loss(lm, texts, number))
    if not losses[0]:
        raise UserError(f"{options.data}/valid: no batch has two rows to exchange texts between")
    print(table(*map(mean, losses)), end="")


def exchanged(batch: Utterances) -> Utterances:
    """Each row with the text of the row before, the first with that of the last."""
    moved = {name: getattr(batch, name).roll(1, 0) for name in ("text", "text_lens", "prompt_text_lens")}
    return replace(batch, **moved)


@torch.inference_mode()
def loss(lm: torch.nn.Module, batch: Utterances, seed: int) -> dict[str, float]:
    """Its terms, from the same noise for the same ``seed``."""
    torch.manual_seed(seed)
    return {name: float(value) for name, value in lm.loss(batch).items()}


def mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(terms[name] for terms in found) / len(found) for name in found[0]}


def table(own: Mapping[str, float], other: Mapping[str, float]) -> str:
    rows = (f"| {name} | {own[name]:.4f} | {other[name]:.4f} | {other[name] - own[name]:.4f} |\n" for name in own)
    return "| loss | own text | another's | more |\n|---|---|---|---|\n" + "".join(rows)


if __name__ == "__main__":
    sys.exit(main())
