"""Train a part: python recipes/train.py codec|aligner|lm --config conf/codec.yaml --data dump --exp exp/codec"""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import ArgumentParser

from latent_tts.errors import UserError
from latent_tts.train.fit import Fit, fit


def tasks() -> dict[str, type]:
    from latent_tts.train.aligner_task import AlignerTask
    from latent_tts.train.codec_task import CodecTask
    from latent_tts.train.lm_task import LMTask

    return {"aligner": AlignerTask, "codec": CodecTask, "lm": LMTask}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    known = tasks()
    if not argv or argv[0] not in known:
        print(f"train: say first what to train: {', '.join(known)}", file=sys.stderr)
        return 2
    parser = ArgumentParser(prog=f"train.py {argv[0]}", description=__doc__)
    parser.add_argument("--config", action="config", help="YAML file; options after it override its values")
    parser.add_argument(
        "--data", type=Path, required=True, help="what the earlier stage left (train/ and valid/ below it)"
    )
    parser.add_argument(
        "--exp", type=Path, required=True, help="where the run is kept; an unfinished run there is resumed"
    )
    parser.add_dataclass_arguments(Fit, "fit")
    parser.add_class_arguments(known[argv[0]], "task")
    options = parser.parse_args(argv[1:])
    options.exp.mkdir(parents=True, exist_ok=True)
    parser.save(options, options.exp / "config.yaml", overwrite=True, skip_none=False)
    ready = parser.instantiate_classes(options)
    task = ready.task
    try:
        train, valid = task.datasets(options.data)
        done = fit(task, train, valid, options.exp, ready.fit)
    except (UserError, FloatingPointError) as error:
        print(f"train: error: {error}", file=sys.stderr)
        return 2
    if done:
        (options.exp / "train.done").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
