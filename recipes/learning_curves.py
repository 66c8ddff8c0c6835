"""Losses on validation speakers over the steps of several trainings, as one table and one picture.

    recipes/learning_curves.py --out DIR half=exp/half whole=exp/whole

Reads what each training has left for the dashboard (EXP/tensorboard) and leaves curves.md, which it prints, and
curves.png. A row is a training at one of its validations; --at names the steps that are wanted, the last comes always.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from stage import stage

from latent_tts.errors import UserError
from latent_tts.evaluate.pictures import write_png
from latent_tts.files import write_whole

VALID = "valid/"
Curves = Mapping[str, Mapping[int, float]]  # loss: step: value


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=EXP", help="a name for a training, and its folder")
    parser.add_argument("--at", type=int, nargs="+", help="steps of the rows; default: every validation")
    parser.add_argument("--out", type=Path, required=True, help="folder for table and picture")
    options = parser.parse_args(argv)
    runs = dict(map(read, options.runs))
    options.out.mkdir(parents=True, exist_ok=True)
    text = table(runs, options.at)
    draw(runs, options.out / "curves.png")
    write_whole(options.out / "curves.md", text.encode())
    print(text, end="")


def read(named: str) -> tuple[str, Curves]:
    """NAME=EXP -> (name, its losses at the steps of its validations). UserError where it has none."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    name, separator, exp = named.partition("=")
    folder = Path(exp) / "tensorboard"
    if not separator or not folder.is_dir():
        raise UserError(f"{named!r} is not NAME=EXP with the folder of a training, which has tensorboard/ in it")
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith(VALID)]
    if not tags:
        raise UserError(f"{exp} was not validated yet; --fit.validate_every says how often it is")
    return name, {tag.removeprefix(VALID): {e.step + 1: e.value for e in events.Scalars(tag)} for tag in tags}


def table(runs: Mapping[str, Curves], at: list[int] | None) -> str:
    """Markdown: a row for each training and step, a column for each loss that all of them have."""
    losses = [loss for loss in next(iter(runs.values())) if all(loss in curves for curves in runs.values())]
    lines = ["| training | steps | " + " | ".join(losses) + " |", "|---" * (len(losses) + 2) + "|"]
    for name, curves in runs.items():
        steps = sorted(curves[losses[0]])
        for step in steps:
            if at is None or step in at or step == steps[-1]:
                cells = (f"{curves[loss][step]:.3f}" for loss in losses)
                lines.append(f"| {name} | {step} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(runs: Mapping[str, Curves], path: Path) -> None:
    """A panel for each loss of the first training, a line for each training that has it."""
    from matplotlib.figure import Figure

    losses = list(next(iter(runs.values())))
    figure = Figure(figsize=(4 * len(losses), 3.6), dpi=120, layout="constrained")
    for axes, loss in zip(figure.subplots(1, len(losses), squeeze=False)[0], losses):
        for name, curves in runs.items():
            if loss in curves:
                axes.plot(*zip(*sorted(curves[loss].items())), marker=".", label=name)
        axes.set(xscale="log", xlabel="steps", ylabel=f"{VALID}{loss}")
        axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    write_png(path, figure)


if __name__ == "__main__":
    sys.exit(main())
