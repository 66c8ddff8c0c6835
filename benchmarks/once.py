#!/usr/bin/env python3
"""One speaking system in a process of its own: what it costs to start it and how much memory it takes.

python benchmarks/once.py latent_tts/models/nano onnx 2     writes a line of JSON; speed.py runs it.
"""

import json
import sys
import time
from pathlib import Path

BEGIN = time.perf_counter()


def main(folder: str, name: str, threads: int, seconds: float = 10.0) -> int:
    import torch  # first, since its share of the memory is not the system's

    floor = _peak()
    import speech_systems
    from speed import CLONED, reference

    torch.set_num_threads(threads)
    system = speech_systems.build(name, Path(folder), threads)
    ready = time.perf_counter()
    if hasattr(system, "clone"):
        system.clone(reference(Path(folder), CLONED), speech_systems.RATE)
    said = time.perf_counter()
    stream = system.stream(speech_systems.text_of(seconds))
    next(stream)
    first = time.perf_counter()
    for _ in stream:
        pass
    times = {"start_s": ready - BEGIN, "first_call_ms": 1000 * (first - said)}
    print(json.dumps(times | {"peak_mib": _peak(), "torch_mib": floor}))
    return 0


def _peak() -> float | None:
    """MiB that this process has had resident at most; None where the kernel does not tell. (What getrusage says has the
    parent's share in it.)"""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
