"""Times side by side: calls that take turns, medians and ranges, the machine they ran on, a Markdown table.

A time alone says as much about the machine as about what ran on it. So a benchmark takes its turns with what it is
compared to, in one process, and what it claims is a ratio of times of the same round. ``interleave`` runs the calls,
``spread`` and ``quotients`` sum them up, ``peak_growth`` adds memory, ``conditions`` says what the figures hold for.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def interleave(
    calls: Mapping[Key, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[Key, list[float]]:
    """How long each call takes, in seconds, once a round.

    A round is every call once, in order: a machine that slows down slows all of them alike. One more round comes first
    and is not counted, it warms up.
    """
    times: dict[Key, list[float]] = {key: [] for key in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for key, call in calls.items():
            start = clock()
            call()
            times[key].append(clock() - start)
    return times


def spread(values: Iterable[float]) -> dict[str, float]:
    """``{"median", "min", "max"}`` of some values."""
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def quotients(times: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    """The spread of ``times / others``, round by round."""
    return spread(a / b for a, b in zip(times, others, strict=True))


def peak_growth(call: Callable[[], object]) -> float | None:
    """By how many MiB the resident memory of this process rises, at most, while ``call`` runs; None but on Linux.

    The peak is the kernel's own, so nothing between two looks is missed. Run ``call`` once before: what it loads for
    good is not what is asked. What the process has freed goes back to the system first, or it would be used again
    without a rise. Figures still differ from run to run; take them for sizes, not for measurements in three digits.
    """
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if give_back is None or not os.access(reset, os.W_OK):
        return None

    def mebibytes(field: str) -> float:
        (line,) = (line for line in status.read_text().splitlines() if line.startswith(f"{field}:"))
        return int(line.split()[1]) / 1024

    gc.collect()
    give_back(0)
    reset.write_text("5")  # from now on the peak is a new one, see proc(5)
    before = mebibytes("VmRSS")
    call()
    return max(0.0, mebibytes("VmHWM") - before)


def conditions(packages: Iterable[str], **settings: object) -> dict:
    """What a figure holds for: date (UTC), machine, versions of the ``packages`` that are installed, and ``settings``.

    ``machine.load`` is the system's one-minute load as the benchmark begins: on a free machine it is near 0.
    """
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cpu": _cpu(), "cores": _cores(), "system": platform.platform(), "load": _load()},
        "versions": versions,
        "settings": settings,
    }


def _cpu() -> str:
    """The processor's name, as far as the system tells."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def cell(figure: Mapping[str, float] | None) -> str:
    """A spread as a table shows it: ``median [min, max]`` in three digits, "-" for None."""
    if figure is None:
        return "-"
    median, low, high = (f"{figure[key]:.3g}" for key in ("median", "min", "max"))
    return f"{median} [{low}, {high}]"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its last line ended."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
