"""What a language model's settings ask for: prints the codec whose frames it speaks, their pack and the numbers of
solver steps that make a difference to it, a tab between.

--source names a codec's model directory and a frame pack of it, as often as there are codecs; the first that fits is
taken. Of the numbers of --steps a model without a solver gets the first alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from stage import stage
from train import parser_of, tasks

from latent_tts.errors import UserError
from latent_tts.frames import FrameLM, Sampling
from latent_tts.model_dir import load_codec


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of a language model")
    parser.add_argument("--source", type=Path, nargs=2, action="append", required=True, metavar=("CODEC", "PACK"))
    parser.add_argument("--steps", type=int, nargs="+", default=[Sampling.steps], help="numbers of solver steps")
    options = parser.parse_args(argv)
    lm = described(options.config)
    codec, pack = source_of(lm, options.config, options.source)
    costs = {str(lm.evaluations(100, Sampling(steps=steps))) for steps in options.steps}
    steps = options.steps if len(costs) > 1 else options.steps[:1]
    print(codec, pack, " ".join(map(str, steps)), sep="\t")


def described(config: Path) -> FrameLM:
    """The language model that ``config`` describes, without any weights."""
    parser = parser_of("lm", tasks()["lm"])
    options = parser.parse_args(["--config", str(config), "--data", ".", "--exp", "."])
    with torch.device("meta"):
        return parser.instantiate(options).task.lm


def source_of(lm: FrameLM, config: Path, sources: list[list[Path]]) -> list[Path]:
    """The codec with the frames of ``lm``, and its pack. UserError where there is none."""
    formats = [load_codec(codec).frame_format for codec, _ in sources]
    if lm.frame_format in formats:
        return sources[formats.index(lm.frame_format)]
    known = ", ".join(f"{codec} with {its_format}" for (codec, _), its_format in zip(sources, formats))
    raise UserError(f"{config} speaks frames of {lm.frame_format}, but there is only {known}")


if __name__ == "__main__":
    sys.exit(main())
