"""The tables and plots of recipes/compare.sh, of what it left in --work_dir. Prints table.md, which comes last.

A row pools a system's seeds: figures over all of their utterances, with 95 % intervals over seeds and utterances
(`hierarchical_interval` in latent_tts/evaluate/pooled.py). RTF, steps and evaluations a second of
speech are those of times.json; training takes the mean of the seeds' times (train.json). plots/steps.png has error rate
and similarity against solver steps, plots/speed.png the same against RTF.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from stage import stage

from latent_tts.evaluate.pictures import write_png
from latent_tts.evaluate.pooled import pooled
from latent_tts.evaluate.report import COLUMNS, markdown_table
from latent_tts.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUALITIES = ("wer", "similarity", "dnsmos_ovrl")
PLOTS = {  # what stands on the x axis, and where a row stands there
    "steps": ("solver steps", lambda steps, row: int(steps)),
    "speed": ("RTF", lambda steps, row: row["real_time"]["value"]),
}
TIMED = ("decoding_steps", "network_evaluations", "real_time")


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work_dir", type=Path, required=True, help="that of compare.sh")
    parser.add_argument("--systems", nargs="+", required=True, help="rows, in this order")
    parser.add_argument("--seeds", nargs="+", required=True, help="what a row pools")
    parser.add_argument("--lists", nargs="+", required=True, help="trial lists by name, a table each")
    parser.add_argument("--steps", required=True, help="the number of solver steps of these tables")
    options = parser.parse_args(argv)
    runs = {name: [options.work_dir / name / f"seed_{seed}" for seed in options.seeds] for name in options.systems}
    times = json.loads((options.work_dir / "times.json").read_text())
    text = ""
    for place, found in enumerate(options.lists):
        rows = {name: {**spoken(exps, found, options.steps), **effort(exps)} for name, exps in runs.items()}
        for name, row in rows.items():
            row |= costs(times["systems"][name][options.steps])
        text += f"\n{found}, {options.steps} solver steps:\n\n" + markdown_table(
            recorded(options.work_dir, found) | rows
        )
        if place == 0:
            points = {name: curve(exps, found, times["systems"][name]) for name, exps in runs.items()}
            rows = {f"{name}, {steps}": row for name, curve in points.items() for steps, row in curve.items()}
            text += f"\n{found}, by solver steps:\n\n" + markdown_table(rows)
            draw(points, options.work_dir / "plots")
    text = terms(runs) + conditions(times, next(iter(rows.values()))) + text
    write_whole(options.work_dir / "table.md", text.encode())
    print(text, end="")


def spoken(exps: Sequence[Path], found: str, steps: str) -> dict:
    """The pooled figures of a list."""
    return pooled([json.loads((exp / found / f"steps_{steps}" / "score.json").read_text()) for exp in exps])


def recorded(work_dir: Path, found: str) -> dict[str, dict]:
    """A row of what people said, where a list has it."""
    path = work_dir / "recordings" / found / "score.json"
    if not path.exists():
        return {}
    row = pooled([json.loads(path.read_text())])
    return {"recordings": row | {"seeds": None}}


def effort(exps: Sequence[Path]) -> dict[str, dict]:
    """A system's size, and the seconds that its whole training takes: those of the steps that were timed, for all."""
    records = [json.loads((exp / "train.json").read_text()) for exp in exps]
    seconds = 0.0
    for record in records:
        timed = sum(call["last"] - call["first"] for call in record["calls"])
        seconds += sum(call["seconds"] for call in record["calls"]) / timed * record["calls"][-1]["last"]
    return {"parameters": {"value": records[0]["parameters"]}, "training": {"value": seconds / len(records)}}


def costs(timed: Mapping) -> dict[str, dict]:
    """What speaking costs, from one of the systems of times.json."""
    time = timed["real_time"]
    row = {name: {"value": timed[name]} for name in TIMED[:2]}
    return row | {"real_time": {"value": time["median"], "interval": [time["min"], time["max"]]}}


def curve(exps: Sequence[Path], found: str, timed: Mapping[str, Mapping]) -> dict[str, dict]:
    """Figures and costs by the number of solver steps."""
    return {steps: spoken(exps, found, steps) | costs(timed[steps]) for steps in sorted(timed, key=int)}


def terms(runs: Mapping[str, Sequence[Path]]) -> str:
    """The settings of training that all systems share, and those in which one differs."""
    settings = {name: yaml.safe_load((exps[0] / "config.yaml").read_text())["task"] for name, exps in runs.items()}
    shared, apart = [], []
    for group in ("training", "cloning"):
        for key, value in next(iter(settings.values()))[group].items():
            values = {name: told[group].get(key) for name, told in settings.items()}
            if key == "seed":
                continue
            if all(other == value for other in values.values()):
                shared.append(f"{key} {value}")
            else:
                apart.append(f"{key} " + ", ".join(f"{other} ({name})" for name, other in values.items()))
    return f"Training: {'; '.join(shared)}.\n" + f"Different: {'; '.join(apart) or 'nothing'}.\n"


def conditions(times: Mapping, row: Mapping) -> str:
    """What measured the figures, and what the times hold for."""
    machine, settings = times["machine"], times["settings"]
    return (
        f"RTF: median [min, max] of {settings['rounds']} rounds in turns by {settings['engine']}, "
        f"{settings['threads']} threads, {machine['cpu']}, load {machine['load']}; "
        "other intervals: 95 %, over seeds and utterances.\n"
        f"Recogniser: {row['recogniser'] or 'none'}; similarity by {row['extractor']}; DNSMOS P.835 overall.\n"
    )


def draw(points: Mapping[str, Mapping[str, Mapping]], folder: Path) -> None:
    """Two PNGs: qualities against solver steps, and against RTF."""
    from matplotlib.figure import Figure

    folder.mkdir(exist_ok=True)
    held = [key for key in QUALITIES if all(key in row for curve in points.values() for row in curve.values())]
    counts = sorted({int(steps) for curve in points.values() for steps in curve})
    for name, (label, place) in PLOTS.items():
        figure = Figure(figsize=(4 * len(held), 3.6), dpi=120, layout="constrained")
        for axes, quality in zip(figure.subplots(1, len(held), squeeze=False)[0], held):
            for system, curve in points.items():
                marks = [(place(steps, row), row[quality]) for steps, row in curve.items()]
                trace(axes, system, marks, COLUMNS[quality][1])
            axes.set(xscale="log", xlabel=label, ylabel=COLUMNS[quality][0])
            if name == "steps":
                axes.set_xticks(counts, labels=map(str, counts))
                axes.minorticks_off()
            axes.grid(alpha=0.3)
            axes.legend(fontsize=7)
        write_png(folder / f"{name}.png", figure)


def trace(axes: Axes, system: str, points: Sequence[tuple[float, Mapping]], scale: float) -> None:
    """A system's line with its intervals."""
    x = [place for place, _ in points]
    y = [scale * figure["value"] for _, figure in points]
    bounds = [[abs(scale * figure["interval"][i] - v) for (_, figure), v in zip(points, y)] for i in (0, 1)]
    axes.errorbar(x, y, yerr=bounds, marker="o", capsize=3, label=system)


if __name__ == "__main__":
    sys.exit(main())
