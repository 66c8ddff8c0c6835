"""How long speaking took: ``speed.jsonl`` beside the sounds, a line for each, and what a score makes of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from latent_tts.evaluate.report import figure

NAME = "speed.jsonl"


def note(folder: Path, trial: str, spent: float, seconds: float, **conditions: object) -> None:
    """Add a line: ``spent`` seconds for a sound that lasts ``seconds``, under ``conditions``, here and now.

    Lines are only appended, each in one write, so several processes may share the file and any may be killed.
    """
    about = {"machine": machine(), "date": datetime.now(timezone.utc).isoformat(timespec="seconds"), **conditions}
    line = json.dumps({"id": trial, "spent": round(spent, 4), "seconds": round(seconds, 4), **about})
    with open(Path(folder) / NAME, "ab") as file:
        file.write(f"{line}\n".encode())


def machine() -> str:
    """The processor's name and how many of its cores this process may use, as far as the system tells."""
    about = Path("/proc/cpuinfo")
    names = [line for line in (about.read_text().splitlines() if about.exists() else []) if "model name" in line]
    name = names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def read(folder: str | Path, trials: Iterable[str]) -> dict[str, dict]:
    """The last whole line of each of the trials that has one, by its id."""
    path, wanted, found = Path(folder) / NAME, set(trials), {}
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
            if row["id"] in wanted and row["spent"] > 0 and row["seconds"] > 0:
                found[row["id"]] = row
        except (ValueError, KeyError, TypeError):
            continue  # a process was killed amid this line
    return found


def figures(rows: Mapping[str, dict], trials: Iterable[str]) -> dict:
    """``real_time``, the time spent over the time that is heard, and ``synthesis``, the conditions all lines share.

    ``real_time`` is null where a trial has no line, or where machine, engine or threads are not the same for all; where
    no trial has a line there is neither.
    """
    if not rows:
        return {}
    lines = list(rows.values())
    shared = {key: lines[0][key] for key in lines[0] if all(key in row and row[key] == lines[0][key] for row in lines)}
    about = {key: value for key, value in shared.items() if key not in ("id", "spent", "seconds", "date")}
    about["date"] = max(str(row.get("date")) for row in lines)
    same = all(name in about for name in ("machine", "engine", "threads")) and set(trials) <= rows.keys()
    real_time = figure([row["spent"] for row in lines], [row["seconds"] for row in lines]) if same else None
    return {"real_time": real_time, "synthesis": about}
