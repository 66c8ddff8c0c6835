"""Stages 3, 4 and 6: take the averaged weights out of a training run and write them into a model directory.

A run that trained a head leaves a whole language model. Of a run with patience the best checkpoint is taken.
What a codec's frames need, a latent mean and scale or nothing, is measured here over the recordings of ``--measure``.
phones.txt comes last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from jsonargparse import ArgumentParser
from stage import progress, stage
from train import add_task, tasks

from latent_tts.codec.autoencoder import Codec
from latent_tts.data.audio_pack import AudioPack
from latent_tts.errors import UserError
from latent_tts.model_dir import save_part
from latent_tts.text.symbols import SymbolTable


@stage
def main(argv: list[str] | None = None) -> None:
    parser, known = argparse.ArgumentParser(description=__doc__), tasks()
    parser.add_argument("part", choices=sorted(known), help="what the run trained")
    parser.add_argument("--exp", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--out", type=Path, required=True, help="model directory")
    parser.add_argument(
        "--measure", type=Path, help="audio pack to measure a codec on; not for one whose encoder never learnt"
    )
    options = parser.parse_args(argv)
    task = restore(known[options.part], options.exp)
    module = task.average.module.eval()
    if task.network == "codec":
        module.encoder.load_state_dict(frozen_encoder(task).state_dict())
        if options.measure:
            for name, value in measure(module, AudioPack(options.measure)).items():
                print(f"pack_model: {name} {value:.4g}", file=sys.stderr)
        elif task.training_config.encoder_until > 0:
            raise UserError("the run's encoder has learnt, so its latents must be measured; give --measure PACK")
    save_part(options.out, task.network, module)
    SymbolTable.english().write(options.out / "phones.txt")
    print(f"pack_model: {options.part} after {int(task.step)} steps in {options.out}", file=sys.stderr)


def restore(build: type, exp: Path):
    """The task of a run, with its best checkpoint where it kept one, else its last."""
    parser = ArgumentParser()
    add_task(parser, build)
    settings = yaml.safe_load((exp / "config.yaml").read_text())["task"]
    task = parser.instantiate(parser.parse_object({"task": settings})).task
    best, last = (exp / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    checkpoint = torch.load(best if best.exists() else last, map_location="cpu", weights_only=True)
    task.load_state_dict(checkpoint["state_dict"])
    return task


def frozen_encoder(task: torch.nn.Module) -> torch.nn.Module:
    """The encoder that latents were made with: the frozen one once it is frozen, the averaged one before."""
    frozen = int(task.step) > task.training_config.encoder_until
    return (task.codec if frozen else task.average.module).encoder


def measure(codec: Codec, pack: AudioPack) -> dict[str, torch.Tensor]:
    """Measure the codec's bottleneck on up to 600 recordings: -> what there is to say about it."""
    return codec.bottleneck.measure(latents_of(codec, pack, spread(pack, 600)))


def spread(pack: AudioPack, count: int) -> list[str]:
    """``count`` of a pack's recordings, evenly from all of it, or all where it has no more."""
    utts = list(pack)
    return [utts[i * len(utts) // count] for i in range(count)] if len(utts) > count else utts


@torch.inference_mode()
def latents_of(codec: Codec, pack: AudioPack, utts: list[str]) -> torch.Tensor:
    """(M, D): what the encoder says of whole recordings, end to end."""
    latents = []
    for utt in progress(utts, desc="measure latents", unit="utt"):
        wav = pack[utt]
        wav = np.pad(wav, (0, -len(wav) % codec.hop_length))
        latents.append(codec.encoder(torch.from_numpy(wav)[None])[0])
    return torch.cat(latents)


if __name__ == "__main__":
    sys.exit(main())
