"""What ``speed.py`` shows of its report: Markdown, and a picture of computing time against length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from timing import cell, markdown_table


def markdown(report: dict) -> str:
    """The report as a reader sees it: what it holds for, then tables for each number of threads."""
    machine, settings = report["machine"], report["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    text = (
        f"{report['date']}: {machine['cpu']}, {machine['cores']} cores (load {machine['load']}); median [min, max] of "
        f"{settings['rounds']} rounds in turns; {versions}.\n"
    )
    for threads, systems in report["threads"].items():
        ours = next(iter(systems))
        text += f"\nThreads: {threads}. Shares of real time, and times over those of {ours}.\n\n"
        text += markdown_table(*_speaking(systems))
        text += "\n" + markdown_table(*_costs(systems))
        for key, title in (("stages_ms", "stage, ms"), ("batch", "texts together, share of real time")):
            text += "\n" + markdown_table(*_own(systems, key, title))
    notes = {name: system["note"] for systems in report["threads"].values() for name, system in systems.items()}
    return text + "\n" + "".join(f"- {name}: {note}.\n" for name, note in notes.items())


def _speaking(systems: dict) -> tuple[list[str], Iterator[list[str]]]:
    lengths = list(next(iter(systems.values()))["real_time"])
    common = [n for n in lengths if all(n in system["real_time"] for system in systems.values())] or lengths
    middle = common[len(common) // 2]
    head = ["system", "weights", *(f"{n} s" for n in lengths), f"first audio ms, {middle} s", f"over ours, {middle} s"]
    return head, (
        [
            *(name, system["weights"], *(cell(system["real_time"].get(n)) for n in lengths)),
            cell(system["first_audio_ms"].get(middle)),
            cell(system["real_time"].get(middle, {}).get("over_ours")),
        ]
        for name, system in systems.items()
    )


def _costs(systems: dict) -> tuple[list[str], Iterator[list[str]]]:
    names = {"start_s": "start s", "first_call_ms": "first call's first audio ms"}
    names |= {"peak_mib": "peak MiB", "torch_mib": "of them torch"}
    names |= {"command_s": "`tts` a sentence, s", "command_mib": "`tts` peak MiB"}
    head = ["system", "clone ms", *names.values()]
    return head, (
        [name, cell(system.get("clone_ms")), *(f"{system[key]:.3g}" if key in system else "-" for key in names)]
        for name, system in systems.items()
    )


def _own(systems: dict, key: str, title: str) -> tuple[list[str], Iterator[list[str]]]:
    own = {name: system[key] for name, system in systems.items() if key in system}
    rows = next(iter(own.values()))
    return [title, *own], ([row, *(cell(figures.get(row)) for figures in own.values())] for row in rows)


def plot(report: dict, path: Path) -> None:
    """Computing time against seconds of sound, and a step's time against the frames behind it, as a PNG: a colour for
    every system, a mark for every number of threads."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.5), layout="constrained")
    whole, step = figure.subplots(1, 2)
    for (threads, systems), mark in zip(report["threads"].items(), "osD^v*"):
        for i, (name, system) in enumerate(systems.items()):
            style = {"marker": mark, "color": f"C{i}", "label": f"{name}, threads: {threads}"}
            times = system["real_time"].values()
            whole.loglog(*zip(*((t["sound_s"], t["median"] * t["sound_s"]) for t in times)), **style)
            stages = {k: v["median"] for k, v in system.get("stages_ms", {}).items() if k.startswith("lm, a step")}
            if stages:
                step.plot([int(stage.split()[-1]) for stage in stages], list(stages.values()), **style)
    whole.set(xlabel="seconds of sound", ylabel="seconds of computing", xticks=(1, 3, 10, 30, 60))
    whole.xaxis.set_major_formatter("{x:g}")
    whole.minorticks_off()
    step.set(xlabel="frames behind a step of the language model", ylabel="milliseconds a step", ylim=(0, None))
    for axes in (whole, step):
        axes.grid(alpha=0.3)
    figure.legend(*whole.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    figure.savefig(path, dpi=100)
