"""Stages 3, 4 and 6: take the averaged weights out of a training run and write them into a model directory.

The codec's latent mean and scale are measured here, over the recordings of ``--measure``. phones.txt comes last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from stage import progress, stage

from latent_tts.data.audio_pack import AudioPack
from latent_tts.model_dir import save_part
from latent_tts.text.symbols import SymbolTable
from latent_tts.train.aligner_task import AlignerTask
from latent_tts.train.codec_task import CodecTask
from latent_tts.train.lm_task import LMTask

TASKS = {"aligner": (AlignerTask, "aligner"), "codec": (CodecTask, "sigma_vae"), "lm": (LMTask, "latent_lm")}


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=sorted(TASKS), help="what the run trained")
    parser.add_argument("--exp", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--out", type=Path, required=True, help="model directory")
    parser.add_argument("--measure", type=Path, help="audio pack to measure the codec's latents on")
    options = parser.parse_args(argv)
    if options.part == "codec" and not options.measure:
        parser.error("a codec needs --measure PACK")
    build, kind = TASKS[options.part]
    task = restore(build, options.exp)
    module = task.average.module.eval()
    if options.part == "codec":
        module.encoder.load_state_dict(frozen_encoder(task).state_dict())
        measure(module, AudioPack(options.measure))
    save_part(options.out, options.part, kind, module.config, module)
    SymbolTable.english().write(options.out / "phones.txt")
    print(f"pack_model: {options.part} after {int(task.step)} steps in {options.out}", file=sys.stderr)


def restore(build: type, exp: Path):
    """The task of a run, with its last checkpoint."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_class_arguments(build, "task")
    settings = yaml.safe_load((exp / "config.yaml").read_text())["task"]
    task = parser.instantiate(parser.parse_object({"task": settings})).task
    checkpoint = torch.load(exp / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    task.load_state_dict(checkpoint["state_dict"])
    return task


def frozen_encoder(task: CodecTask) -> torch.nn.Module:
    """The encoder that latents were made with: the frozen one once it is frozen, the averaged one before."""
    frozen = int(task.step) > task.training_config.encoder_until
    return (task.codec if frozen else task.average.module).encoder


@torch.inference_mode()
def measure(codec, pack: AudioPack) -> None:
    """Set the codec's latent mean and scale from up to 600 recordings."""
    latents = []
    for utt in progress(list(pack)[:: max(1, len(pack) // 600)], desc="measure latents", unit="utt"):
        wav = pack[utt]
        wav = np.pad(wav, (0, -len(wav) % codec.hop_length))
        latents.append(codec.encoder(torch.from_numpy(wav)[None])[0])
    codec.bottleneck.measure(torch.cat(latents))


if __name__ == "__main__":
    sys.exit(main())
