#!/usr/bin/env python3
"""Speed of the codec, side by side with EnCodec-24k, Mimi and Vocos: python benchmarks/codec.py --json codec.json

Encoding and decoding, the whole signal at once and frame by frame, in fp32 on the CPU. The figure is the share of real
time, seconds of computing over seconds of sound; the systems take turns, so that what else the machine does hits all
alike, and the second table gives the peers' times over ours, round by round. The signal is noise and the peers' weights
are random: neither changes what there is to compute.

The peers come with `pip install -c tools/constraints.txt '.[bench]'`, tried with torch 2.11, transformers 5.23 and
vocos 0.1; the constraints keep pip from another torch. Vocos brings encodec 0.1, which it imports and which is not
what is measured here. A peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from codec_systems import PEERS, OwnCodec, System
from timing import cell, conditions, interleave, markdown_table, peak_growth, quotients, spread

from latent_tts.errors import UserError, program
from latent_tts.evaluate.report import write_score
from latent_tts.model_files import SHIPPED

JOBS = {
    "encode": "encode",
    "decode": "decode",
    "encode_stream": "encode, streaming",
    "decode_stream": "decode, streaming",
}
PACKAGES = ("latent-tts", "torch", "torchaudio", "transformers", "vocos")


@program
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SHIPPED, help="model directory; default: the shipped one")
    engines = "torch, onnx or both; the first is what others are over; default: torch"
    parser.add_argument("--engines", nargs="+", choices=("torch", "onnx"), default=["torch"], help=engines)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="default: all; none: ours alone")
    parser.add_argument("--seconds", type=float, default=10, help="of sound; default: 10")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--seed", type=int, default=0, help="of the signal and of random weights; default: 0")
    parser.add_argument("--json", type=Path, help="file for all figures")
    options = parser.parse_args(argv)
    report = benchmark(options)
    if options.json:
        write_score(options.json, report)
    print(markdown(report), end="")
    return 0


def benchmark(options: argparse.Namespace) -> dict:
    """All figures, ready for JSON. UserError for options or a model directory that cannot be used."""
    for name in ("rounds", "threads"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} is {getattr(options, name)}; give at least 1")
    torch.set_num_threads(options.threads)
    settings = {name: getattr(options, name) for name in ("seconds", "rounds", "threads", "seed")}
    about = conditions(PACKAGES, **settings, dtype="float32")
    systems = [*(OwnCodec(options.model, e) for e in options.engines), *peers(options.peers, options.seed)]
    return {"benchmark": "codec", **about, "systems": measure(systems, options.seconds, options.rounds, options.seed)}


def peers(names: list[str], seed: int) -> list[System]:
    """Those of the peers that are installed; a line on stderr for each that is not."""
    found = []
    for name in names:
        try:
            found.append(PEERS[name](seed))
        except (ImportError, OSError) as error:  # OSError: a torchaudio that does not go with torch
            reason = str(error).splitlines()[0]
            print(f"codec: {name} is left out ({reason}); it comes with the extra 'bench'", file=sys.stderr)
    return found


@torch.inference_mode()
def measure(systems: list[System], seconds: float, rounds: int, seed: int) -> dict[str, dict]:
    """Name -> figures of a system; the first one is what the others are compared to. A job that a system lacks is None.

    UserError where ``seconds`` hold no frame.
    """
    wavs = {system.name: noise(system, seconds, seed) for system in systems}
    calls = turns(systems, wavs)
    times = interleave(calls, rounds)
    memory = {key: peak_growth(call) for key, call in calls.items()}
    report, shares = {}, {}
    for system in systems:
        length = wavs[system.name].shape[2] / system.sample_rate
        report[system.name] = {**describe(system), "seconds": length, **dict.fromkeys(JOBS)}
    for (job, name), taken in times.items():
        shares[job, name] = [t / report[name]["seconds"] for t in taken]
        report[name][job] = {
            "real_time": spread(shares[job, name]),
            "over_ours": quotients(shares[job, name], shares[job, systems[0].name]),
            "memory_mib": memory[job, name],
            "times": taken,
        }
    return report


def turns(systems: list[System], wavs: dict[str, torch.Tensor]) -> dict[tuple[str, str], Callable[[], object]]:
    """(job, name) -> call: every system at one job, then every system at the next, so that rivals are neighbours."""
    given = {}
    for system in systems:
        wav = wavs[system.name]
        frames = system.encode(wav)
        given[system.name] = {"encode": wav, "decode": frames, "encode_stream": wav, "decode_stream": frames}
    return {
        (job, system.name): functools.partial(getattr(system, job), given[system.name][job])
        for job in JOBS
        for system in systems
        if hasattr(system, job)
    }


def noise(system: System, seconds: float, seed: int) -> torch.Tensor:
    """(1, 1, T) at the system's rate: as many whole frames as fit in so many seconds."""
    frames = int(seconds * system.sample_rate / system.hop_length + 1e-6)
    if frames < 1:
        least = system.hop_length / system.sample_rate
        raise UserError(f"--seconds {seconds:g} is shorter than a frame of {system.name}; give at least {least:g}")
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(1, 1, frames * system.hop_length, generator=generator)


def describe(system: System) -> dict:
    """What is known without measuring. The algorithmic latency of a decoder that streams is a frame; parameters are
    what gradients train, so EnCodec's and Mimi's codebooks are not counted."""
    frame = 1000 * system.hop_length / system.sample_rate
    return {
        "weights": system.weights,
        "sample_rate": system.sample_rate,
        "parameters": sum(p.numel() for p in system.module.parameters()),
        "decoder_latency_ms": frame if hasattr(system, "decode_stream") else None,
        "note": system.note,
    }


def markdown(report: dict) -> str:
    """The report as a reader sees it: what it holds for, shares of real time, peers over ours, notes."""
    machine, settings, systems = report["machine"], report["settings"], report["systems"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    text = (
        f"Shares of real time, {report['date']}: {machine['cpu']}, {machine['cores']} cores (load {machine['load']}), "
        f"threads: {settings['threads']}, {settings['seconds']:g} s of noise, fp32, seed {settings['seed']}; median "
        f"[min, max] of {settings['rounds']} rounds in turns; {versions}.\n\n"
    )
    head = ["system", "weights", "kHz", "M parameters", *JOBS.values(), "decoder latency ms", "peak MiB"]
    text += markdown_table(head, (row(name, system) for name, system in systems.items()))
    ours, *others = systems
    if others:
        shown = ([name, *(cell(part(systems[name], job, "over_ours")) for job in JOBS)] for name in others)
        text += "\n" + markdown_table([f"times as long as {ours}", *JOBS.values()], shown)
    return text + "\n" + "".join(f"- {name}: {system['note']}.\n" for name, system in systems.items())


def row(name: str, system: dict) -> list[str]:
    """A system's line of the first table; its memory is that of its hungriest job."""
    latency, memory = system["decoder_latency_ms"], [part(system, job, "memory_mib") for job in JOBS]
    return [
        *(name, system["weights"], f"{system['sample_rate'] / 1000:g}", f"{system['parameters'] / 1e6:.1f}"),
        *(cell(part(system, job, "real_time")) for job in JOBS),
        "-" if latency is None else f"{latency:g}",
        f"{max(m for m in memory if m is not None):.0f}" if any(memory) else "-",
    ]


def part(system: dict, job: str, key: str):
    """One figure of a job, None where the system lacks the job."""
    return system[job] and system[job][key]


if __name__ == "__main__":
    sys.exit(main())
