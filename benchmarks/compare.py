#!/usr/bin/env python3
"""What got slower since the ratios that are recorded: python benchmarks/compare.py speed.json [codec.json]

Times alone say as much about the machine as about the code, so what is kept, in recorded.json, are times of ours over
those of each peer from the same run. A measure got slower where it did, on average over the peers of both runs, by more
than --tolerance; then the exit status is 1. With --record the new ratios take the place of the old ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from timing import markdown_table

from latent_tts.errors import UserError, program
from latent_tts.evaluate.report import write_score

RECORDED = Path(__file__).with_name("recorded.json")


@program
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+", help="what speed.py and codec.py wrote with --json")
    parser.add_argument("--recorded", type=Path, default=RECORDED, help="default: recorded.json beside this file")
    parser.add_argument("--tolerance", type=float, default=0.15, help="default: 0.15")
    parser.add_argument("--record", action="store_true", help="keep the new ratios")
    options = parser.parse_args(argv)
    reports = [read(path) for path in options.reports]
    recorded = {} if options.record and not options.recorded.exists() else read(options.recorded)
    found = {measure: others for report in reports for measure, others in ratios(report).items()}
    before = recorded.get("ratios", {})
    changes = {measure: change(found[measure], before[measure]) for measure in found if measure in before}
    slower = [measure for measure, factor in changes.items() if factor > 1 + options.tolerance]
    rows = ([measure, f"{factor:.2f}", "slower" if measure in slower else ""] for measure, factor in changes.items())
    print(markdown_table(["measure", "times what is recorded", ""], rows), end="")
    if options.record:
        about = [{"date": report["date"], "machine": report["machine"]} for report in reports]
        write_score(options.recorded, {"runs": about, "ratios": before | found})
        return 0
    return 1 if slower else 0


def read(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no report ({error}); give what a benchmark wrote with --json") from None


def ratios(report: dict) -> dict[str, dict[str, float]]:
    """What was measured -> for each peer, our median time over its."""
    found = {}
    for measure, times in medians(report).items():
        others = {name: time for name, time in times.items() if not is_ours(name)}
        for name, time in times.items():
            if is_ours(name) and others:
                found[f"{name}: {measure}"] = {other: time / theirs for other, theirs in others.items()}
    return found


def medians(report: dict) -> dict[str, dict[str, float]]:
    """What was measured -> system -> median share of real time, of either benchmark."""
    found: dict[str, dict[str, float]] = {}
    for threads, systems in report["threads"].items() if report["benchmark"] == "speed" else ():
        for name, system in systems.items():
            for seconds, times in system["real_time"].items():
                found.setdefault(f"{seconds} s of speech, threads: {threads}", {})[name] = times["median"]
    for name, system in report["systems"].items() if report["benchmark"] == "codec" else ():
        for job, times in system.items():
            if isinstance(times, dict) and "real_time" in times:
                measure = f"codec, {job}, threads: {report['settings']['threads']}"
                found.setdefault(measure, {})[name] = times["real_time"]["median"]
    return found


def is_ours(name: str) -> bool:
    return name.startswith("latent_tts ")


def change(now: dict[str, float], then: dict[str, float]) -> float:
    """How many times as slow we are now, on (geometric) average over the peers of both; 1 where there is none."""
    common = [now[peer] / then[peer] for peer in now.keys() & then.keys()]
    return statistics.geometric_mean(common) if common else 1.0


if __name__ == "__main__":
    sys.exit(main())
