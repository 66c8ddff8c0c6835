"""A model's graphs are made from its torch modules, in a process that may have torch: once, then they are kept."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latent_tts.errors import UserError
from latent_tts.frames import Sampling

if TYPE_CHECKING:
    from latent_tts.align.aligner import Aligner
    from latent_tts.codec.autoencoder import Codec
    from latent_tts.lm.latent_lm import LatentLM

PRECISIONS = ("int8", "fp32")  # of the weights of what runs frame by frame; the rest is always fp32
BEGIN = """
import sys
sys.path.insert(0, sys.argv[1])  # this package's place, whatever else is called so where the command runs
from latent_tts.engine.making import main
sys.exit(main(*sys.argv[2:]))
"""


def drawing(sampling: Sampling) -> str:
    """The name of the graph that draws a frame, one for each number of steps and one more without guidance."""
    return f"draw-{sampling.steps}-{'plain' if sampling.guidance == 1 else 'guided'}"


def made(model: Path, names: Sequence[str], precision: str) -> dict[str, bytes]:
    """Graphs by their names. Where torch is not loaded yet it will not be: a process of its own makes them, and gives
    its memory back. UserError for a model directory that cannot be used."""
    if "torch" in sys.modules:
        return make(model, names, precision)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", BEGIN, str(Path(__file__).parents[2]), str(model), folder, precision, *names]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no graph came"])[-1]
            raise (UserError if done.returncode == 2 else RuntimeError)(reason)
        return {name: Path(folder, name).read_bytes() for name in names}


def make(model: Path, names: Sequence[str], precision: str) -> dict[str, bytes]:
    """The same in this process."""
    import torch

    from latent_tts.engine import graphs
    from latent_tts.engine.quantize import quantized
    from latent_tts.lm.latent_lm import LatentLM
    from latent_tts.model_dir import load_aligner, load_parts

    finish = quantized if precision == "int8" else bytes
    codec, lm = load_parts(model)
    if not isinstance(lm, LatentLM):
        raise TypeError(f"a {type(lm).__name__} has none")
    makers = {
        "facts": lambda: json.dumps(facts(codec, lm)).encode(),
        "read": lambda: graphs.reading_graph(lm),
        "step": lambda: finish(graphs.step_graph(lm)),
        "decode": lambda: finish(graphs.decoder_graph(codec)),
        "encode": lambda: graphs.encoder_graph(codec),
        "aligner": lambda: graphs.aligner_graph(load_aligner(model)[0]),
        "hearing": lambda: json.dumps(hearing_facts(load_aligner(model)[0])).encode(),
    }
    found = {}
    with torch.inference_mode(False):  # what is traced must be plain tensors
        for name in names:
            if name.startswith("draw-"):
                _, steps, kind = name.split("-")
                sampling = Sampling(steps=int(steps), guidance=1.0 if kind == "plain" else Sampling.guidance)
                found[name] = finish(graphs.draw_graph(lm, sampling))
            else:
                found[name] = makers[name]()
    return found


def facts(codec: Codec, lm: LatentLM) -> dict:
    """What has to be known of a model besides its graphs."""
    rates = {name: getattr(codec, name) for name in ("sample_rate", "hop_length", "frame_rate")}
    return rates | {"noise_dim": lm.head.noise_dim, "decision": lm.decision, "limit": lm.limit}


def hearing_facts(aligner: Aligner) -> dict:
    """The same of its aligner."""
    rates = {"sample_rate": aligner.config.sample_rate, "frame_rate": aligner.frame_rate}
    return rates | {"classes": aligner.classes.tolist(), "separators": sorted(aligner.separators)}


def main(model: str, folder: str, precision: str, *names: str) -> int:
    """The other process: files of these names in ``folder``; 2 and a line on stderr for a UserError."""
    try:
        for name, content in make(Path(model), names, precision).items():
            Path(folder, name).write_bytes(content)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
