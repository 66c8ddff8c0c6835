"""Memory of `tts serve` over many requests: does it stay flat?

Starts the real server, speaks to it from a few clients at a time, in all formats, whole and as events, with uploads,
refusals and clients that leave in between, and reads the server's resident memory every few requests. Flat is: what is
resident in the last quarter is at most --margin MiB above what was in the second (the first warms up).

    python benchmarks/server_memory.py --json memory.json
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
from timing import conditions, markdown_table

from latent_tts.encoders import FORMATS
from latent_tts.errors import UserError, program
from latent_tts.evaluate.report import write_score
from latent_tts.model_files import SHIPPED

SENTENCES = ("Hello there.", "The rain had stopped, and the street was quiet.", "It is 7:45. Are you coming?")
PACKAGES = ("torch", "fastapi", "uvicorn", "soundfile", "av")


@program
def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    if sys.platform != "linux":
        raise UserError("reads /proc, which is there on Linux only")
    with tempfile.TemporaryDirectory() as voices, served(options.model, Path(voices)) as (address, pid):
        readings = measure(address, pid, options)
    growth = later_growth([mebibytes for _, mebibytes in readings])
    settings = {"requests": options.requests, "clients": options.clients, "model": options.model.name}
    report = {"benchmark": "server_memory", **conditions(PACKAGES, **settings), "readings": readings, "growth": growth}
    print(markdown_table(["requests", "resident MiB"], [[str(n), f"{mebibytes:.1f}"] for n, mebibytes in readings]))
    print(f"later growth: {growth:.1f} MiB, {'flat' if growth <= options.margin else 'NOT FLAT'}")
    if options.json:
        write_score(options.json, report)
    return int(growth > options.margin)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SHIPPED, help="a model directory; default: the shipped one")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4, help="at a time")
    parser.add_argument("--margin", type=float, default=16.0, metavar="MIB", help="of growth that counts as flat")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser


@contextmanager
def served(model: Path, voices: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of a server in a process of its own."""
    command = [sys.executable, "-m", "latent_tts", "serve", "--no-page", "--port", "0", "--queue", "64"]
    command += ["--model", str(model), "--voices", str(voices)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stderr.readline()
        found = re.search(r"http://[\d.]+:\d+", said)
        if not found:
            raise UserError(f"the server did not start: {said.strip()}")
        yield found[0], process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def measure(address: str, pid: int, options: argparse.Namespace) -> list[tuple[int, float]]:
    """(requests made, MiB resident) at about twenty times."""
    size, readings = max(1, options.requests // 20), []
    with httpx.Client(base_url=address, timeout=600) as client, ThreadPoolExecutor(options.clients) as pool:
        for first in range(0, options.requests, size):
            jobs = range(first, min(first + size, options.requests))
            list(pool.map(lambda i: ask(client, i, options.model), jobs))
            readings.append((jobs[-1] + 1, resident(pid)))
            print("after {} requests {:.1f} MiB are resident".format(*readings[-1]), file=sys.stderr, flush=True)
    return readings


def ask(client: httpx.Client, i: int, model: Path) -> None:
    """Request number ``i``: one in ten is refused, one leaves early, one uploads a voice and deletes it."""
    formats = [*FORMATS]
    body = {"model": "tts-1", "voice": "default", "input": SENTENCES[i % 3], "seed": i % 2}
    body |= {"response_format": formats[i % len(formats)], "stream_format": "sse" if i % 4 == 1 else "audio"}
    kind = i % 10
    if kind == 3:
        assert client.post("/v1/audio/speech", json=body | {"voice": "nobody"}).status_code == 400
    elif kind == 5:
        with client.stream("POST", "/v1/audio/speech", json=body | {"input": " ".join(SENTENCES * 5)}) as reply:
            next(reply.iter_raw())
    elif kind == 7:
        fields = {"name": f"voice{i}", "consent": "A benchmark may clone this recording."}
        recording = next(model.glob("reference.*[!t]")).read_bytes()
        files = {"audio_sample": ("reference", recording)}
        client.post("/v1/audio/voices", data=fields, files=files).raise_for_status()
        client.delete(f"/v1/audio/voices/voice{i}").raise_for_status()
    else:
        assert client.post("/v1/audio/speech", json=body).raise_for_status().content


def resident(pid: int) -> float:
    """MiB of memory that a process occupies."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def later_growth(readings: list[float]) -> float:
    """The highest of the last quarter less the highest of the second one."""
    quarter = max(1, len(readings) // 4)
    return max(readings[-quarter:]) - max(readings[quarter : 2 * quarter] or readings)


if __name__ == "__main__":
    sys.exit(main())
