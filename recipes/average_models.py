"""A part whose weights are a mean of those of several: `average_models.py --models A=0.25 B=0.75 --out OUT`.

Of trainings that began with the same weights, each often good at something else, a mean can have some of either (model
soups, Wortsman et al. 2022); of others it says nothing. OUT gets the other parts of the first model, as they are. Where
it has a language model, codecs (`--part codec`) have to make the same frames: it is their decoders that have learnt.
Codecs by themselves have a mean of all they are; match_frames.py gives it the frames of another.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from stage import stage
from torch import nn

from latent_tts.errors import UserError
from latent_tts.model_dir import adopt, load_codec, load_lm, read_config, save_part
from latent_tts.text.symbols import SymbolTable

LOADERS = {"lm": load_lm, "codec": load_codec}


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", required=True, metavar="DIR=SHARE", help="shares add up to 1")
    parser.add_argument("--part", choices=LOADERS, default="lm", help="default: lm")
    parser.add_argument("--out", type=Path, required=True, help="model directory")
    options = parser.parse_args(argv)
    shares = [share_of(text) for text in options.models]
    if not math.isclose(sum(share for _, share in shares), 1, abs_tol=1e-6):
        raise UserError(f"--models: shares add up to {sum(share for _, share in shares):g}; make it 1")
    save_part(options.out, options.part, mean_of(shares, options.part))
    adopt(shares[0][0], options.out)
    SymbolTable.english().write(options.out / "phones.txt")
    print(f"average_models: {options.part}, the mean of {len(shares)} models, in {options.out}", file=sys.stderr)


def share_of(text: str) -> tuple[Path, float]:
    """DIR=SHARE -> both. UserError for anything else."""
    folder, _, share = text.rpartition("=")
    try:
        return Path(folder or text), float(share)
    except ValueError:
        raise UserError(f"--models {text}: want DIR=SHARE, such as exp/lm/model=0.5") from None


def mean_of(shares: list[tuple[Path, float]], part: str) -> nn.Module:
    """The first model's part with the weighted mean of every weight. UserError where parts are not of one size, or are
    codecs that make other frames, and the first model has a language model that knows its own."""
    modules = [LOADERS[part](folder) for folder, _ in shares]
    weights = [module.state_dict() for module in modules]
    sizes = [{name: value.shape for name, value in each.items()} for each in weights]
    for (folder, _), size in zip(shares, sizes):
        if size != sizes[0]:
            raise UserError(f"--models: '{shares[0][0]}' and '{folder}' are of two sizes; give trainings of one model")
    bound = part == "codec" and "lm" in read_config(shares[0][0])
    kept = {name for name in weights[0] if bound and not name.startswith("decoder.")}
    for (folder, _), each in zip(shares, weights):
        if any(not torch.equal(each[name], weights[0][name]) for name in kept):
            raise UserError(f"--models: '{shares[0][0]}' and '{folder}' make other frames; give codecs of one encoder")
    learnt = weights[0].keys() - kept
    means = {name: sum(share * each[name].float() for (_, share), each in zip(shares, weights)) for name in learnt}
    modules[0].load_state_dict(weights[0] | means)
    return modules[0]


if __name__ == "__main__":
    sys.exit(main())
