"""Train a part: recipes/train.py codec|spoken|aligner|lm|head|voice --config conf/codec.yaml --data dump --exp EXP

The same command trains on a CPU, on a GPU or on many: --fit.devices 8 starts a process for each GPU. They share every
batch, so sizes in the config are those of all processes together. With --fit.nodes it is started on each node, by
torchrun or Slurm. Leaves config.yaml (what it ran with), checkpoints/, tensorboard/, train.json (how long its steps
took) and, after the last step, train.done in --exp. `head` trains a new head for the language model of --init, whose
other weights and sizes it keeps. `lm` goes on from --init, all of it, and what the config does not set is as it is
there; `voice` does so, too, and hears whether what it says, by --task.codec MODEL_DIR, has its reference's voice.
`spoken` trains the decoder of the codec of --init on what a language model has spoken, --task.spoken PACK, as well.
--judges RUN gives it, and `codec`, the discriminators of another such run to begin with.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import torch
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings
from lightning.pytorch.utilities import rank_zero_only
from stage import stage

from latent_tts.codec.sizes import CodecConfig
from latent_tts.errors import UserError
from latent_tts.files import write_json
from latent_tts.lm.latent_lm import LatentLMConfig
from latent_tts.lm.sizes import LMConfig
from latent_tts.model_dir import load_lm, load_weights
from latent_tts.train.fit import Fit, fit


def tasks() -> dict[str, type]:
    from latent_tts.train.aligner_task import AlignerTask
    from latent_tts.train.codec_task import CodecTask
    from latent_tts.train.head_task import HeadTask
    from latent_tts.train.lm_task import LMTask
    from latent_tts.train.spoken_task import SpokenTask
    from latent_tts.train.voice_task import VoiceTask

    known = {"aligner": AlignerTask, "codec": CodecTask, "spoken": SpokenTask}
    return known | {"lm": LMTask, "head": HeadTask, "voice": VoiceTask}


@stage
def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    known = tasks()
    if not argv or argv[0] not in known:
        raise UserError(f"say first what to train: {', '.join(known)}")
    part, parser = argv[0], parser_of(argv[0], known[argv[0]])
    options = parser.parse_args(argv[1:])
    if part in ("head", "voice") or part == "lm" and options.init:
        parser.set_defaults(sizes_of(part, options.init))
        options = parser.parse_args(argv[1:])
    torch.manual_seed(options.task.training.seed)  # of the first weights; later draws hang on the step as well
    ready = parser.instantiate(options)
    train, valid = ready.task.datasets(options.data)
    done, before = steps_done(options.exp, ready.task), time.monotonic()
    if options.init and not done:
        begin_with(ready.task, part, options.init)
    if options.get("judges") and not done:
        ready.task.begin_with_judges(options.judges)
    options.exp.mkdir(parents=True, exist_ok=True)
    if rank_zero_only.rank == 0:
        parser.save(options, options.exp / "config.yaml", overwrite=True)
    say(f"{part}: {'resuming at' if done else 'from'} step {done} of {len(train)}")
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    finished = fit(ready.task, train, valid, options.exp, ready.fit)
    spent, here = time.monotonic() - before, int(ready.task.step)
    say(f"{part}: {here - done} steps in {spent:.0f} s, at step {here} of {len(train)}")
    if here > done:
        note(options.exp / "train.json", ready, {"first": done, "last": here, "seconds": round(spent, 1)})
    if finished:
        (options.exp / "train.done").touch()
    else:
        say(f"{part}: stopped before its end; the same command goes on from there")


def parser_of(part: str, build: type) -> ArgumentParser:
    """The options of a training of ``part`` by a task of class ``build``."""
    parser = ArgumentParser(prog=f"train.py {part}", description=__doc__)
    parser.add_argument("--config", action="config", help="YAML file; options after it override its values")
    parser.add_argument(
        "--data", type=Path, required=True, help="what the earlier stage left (train/ and valid/ below it)"
    )
    parser.add_argument(
        "--exp", type=Path, required=True, help="where the run is kept; an unfinished run there is resumed"
    )
    parser.add_argument(
        "--init", type=Path, help="model directory whose weights a new run begins with; a resumed run has its own"
    )
    if part in ("codec", "spoken"):
        parser.add_argument(
            "--judges", type=Path, help="training run whose discriminators a new run begins with, as with --init"
        )
    parser.add_class_arguments(Fit, "fit")
    add_task(parser, build)
    return parser


@rank_zero_only
def say(what: str) -> None:
    """On stderr, once for all processes."""
    print(f"train: {what}", file=sys.stderr)


@rank_zero_only
def note(path: Path, ready: Namespace, call: dict) -> None:
    """Add what a call took, from its ``first`` step to its ``last``, to the run's record: parameters, device, calls.

    A call that is killed notes nothing; the steps it leaves behind are missing from the calls.
    """
    calls = json.loads(path.read_text())["calls"] if path.exists() else []
    cuda = ready.fit.accelerator != "cpu" and torch.cuda.is_available()
    devices = ready.fit.devices if ready.fit.devices > 0 else torch.cuda.device_count()
    about = {"device": torch.cuda.get_device_name() if cuda else "cpu", "processes": devices * ready.fit.nodes}
    about["threads"] = torch.get_num_threads()
    parameters = sum(p.numel() for p in ready.task.average.module.parameters())
    write_json(path, {"parameters": parameters, "calls": [*calls, call | about]})


def add_task(parser: ArgumentParser, build: type) -> None:
    """Let ``parser`` read the settings of a task. The class of a part's sizes, ``class_path``, decides its kind."""
    set_parsing_settings(subclasses_enabled=[CodecConfig, LMConfig, LatentLMConfig])
    parser.add_class_arguments(build, "task")


def sizes_of(part: str, init: Path | None) -> dict[str, dict]:
    """The settings of the language model in ``init``, as defaults of a task that goes on from it."""
    if init is None:
        raise UserError(f"a {part} needs --init MODEL_DIR, the language model that it is learnt for")
    config = load_lm(init).config
    if not isinstance(config, LatentLMConfig):
        raise UserError(f"{init}: its language model, by {type(config).__name__}, does not draw frames by a head")
    return {"task.lm": {"class_path": type(config).__name__, "init_args": asdict(config)}}


def begin_with(task: torch.nn.Module, part: str, init: Path) -> None:
    """Load the weights of ``init`` into a task's network and into its average, all but the head's for a new head.
    UserError where they do not fit."""
    if part == "head":
        task.take_trunk(load_lm(init))
        return
    for network in (getattr(task, task.network), task.average.module):
        load_weights(network, init / f"{task.network}.safetensors")


def steps_done(exp: Path, task: torch.nn.Module) -> int:
    """The step of a run's last checkpoint, 0 without one. UserError where it is of another network than ``task``."""
    last = exp / "checkpoints" / "last.ckpt"
    if not last.exists():
        return 0
    saved = torch.load(last, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    if {k: v.shape for k, v in saved.items()} != {k: v.shape for k, v in task.state_dict().items()}:
        raise UserError(
            f"{exp} holds a run of another size; give the config file another name, or --exp another folder"
        )
    return int(saved["step"])


if __name__ == "__main__":
    sys.exit(main())
