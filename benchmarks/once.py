#!/usr/bin/env python3
"""One speaking system in a process of its own: what it costs to start it and how much memory it takes.

python benchmarks/once.py latent_tts/models/nano onnx 2             writes a line of JSON; speed.py runs it
python benchmarks/once.py latent_tts/models/nano onnx 2 command     the same of the command `tts` and one sentence
"""

import json
import runpy
import sys
import tempfile
import time
from pathlib import Path

BEGIN = time.perf_counter()
REFERENCE = "latent_tts/models/nano/reference.flac"  # of a model without one
SENTENCE = "There was a gentle knock on the door, and nobody moved."


def main(folder: str, name: str, threads: int, kind: str = "python") -> int:
    measure = command if kind == "command" else python
    print(json.dumps(measure(Path(folder), name, threads)))
    return 0


def python(folder: Path, name: str, threads: int, seconds: float = 10.0) -> dict:
    """Start, the first call's first audio, and the peak of the memory when a recording was cloned and a text said."""
    import speech_systems

    floor = None
    if name not in speech_systems.TORCHLESS:
        import torch  # first, since its share of the memory is not the system's

        floor = _peak()
        torch.set_num_threads(threads)
    system = speech_systems.build(name, folder, threads)
    ready = time.perf_counter()
    if hasattr(system, "clone"):
        system.clone(speech_systems.reference(folder), speech_systems.RATE)
    said = time.perf_counter()
    stream = system.stream(speech_systems.text_of(seconds))
    next(stream)
    first = time.perf_counter()
    for _ in stream:
        pass
    times = {"start_s": ready - BEGIN, "first_call_ms": 1000 * (first - said)}
    return times | {"peak_mib": _peak(), "torch_mib": floor}


def command(folder: Path, name: str, threads: int) -> dict:
    """The time that a sentence takes by the command, its voice cloned and its sound checked, and the memory's peak."""
    reference = next(folder.glob("reference.*[!t]"), next(Path(__file__).parents[1].glob(REFERENCE)))
    with tempfile.TemporaryDirectory() as made:
        options = ["--model", str(folder), "--engine", name, "--reference", str(reference), "--quiet"]
        sys.argv = ["tts", SENTENCE, *options, "-o", str(Path(made, "out.wav"))]
        try:
            runpy.run_module("latent_tts", run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
    return {"command_s": time.perf_counter() - BEGIN, "command_mib": _peak()}


def _peak() -> float | None:
    """MiB that this process has had resident at most; None where the kernel does not tell. (What getrusage says has the
    parent's share in it.)"""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
