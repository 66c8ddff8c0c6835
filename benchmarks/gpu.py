#!/usr/bin/env python3
"""Speed of speaking on an accelerator, as speed.py measures it on a CPU: python benchmarks/gpu.py --json gpu.json

Ours alone, by the torch engine: shares of real time, the time to the first sound, batches, every stage.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from speed import PACKAGES, measure
from speed_tables import markdown
from timing import conditions

from latent_tts.errors import UserError, program
from latent_tts.evaluate.report import write_score
from latent_tts.model_files import SHIPPED


@program
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", type=Path, default=SHIPPED, help="model directory; default: the shipped one")
    add("--seconds", type=float, nargs="+", default=[1, 10, 60], help="of speech, about; default: 1 10 60")
    add("--batches", type=int, nargs="*", default=[1, 2, 4, 8, 16], help="default: 1 2 4 8 16")
    add("--rounds", type=int, default=7, help="default: 7")
    add("--json", type=Path, help="file for all figures")
    options = parser.parse_args(argv, argparse.Namespace(engines=["torch"], peers=[], peer_seconds=[]))
    if not torch.cuda.is_available():
        raise UserError("torch sees no CUDA device here; speed.py measures a CPU")
    settings = {name: getattr(options, name) for name in ("seconds", "rounds", "batches", "engines")}
    report = {"benchmark": "gpu", **conditions(PACKAGES, **settings, device=torch.cuda.get_device_name())}
    report |= {"threads": {}, "done": {}}
    measure(options, 1, report, lambda: options.json and write_score(options.json, report), "cuda")
    print(f"On {report['settings']['device']}. {markdown(report)}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
