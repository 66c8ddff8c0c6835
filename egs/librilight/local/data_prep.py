#!/usr/bin/env python3
"""Stage 1 for Libri-Light: long recordings become utterances with text.

From Libriheavy's manifests, which say where to cut and what is said, or by a voice activity detector and a recogniser:

    data/long/wav.scp           the recordings that are there with their metadata
    data/long/segments          recipes/segment.py
    data/long/transcripts.tsv   recipes/transcribe.py
    data/libriheavy/            wav.scp, segments and text of the manifests, in place of data/long
    data/train, valid, test     recipes/prepare.py, to which all other options go

What is there is kept. recipes/tts.sh passes on its --nj and --cluster: segment.py and transcribe.py are done in as many
parts there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from latent_tts.data.kaldi import write_segments, write_table
from latent_tts.data.librilight import Recording, read_libriheavy, read_librilight, utterance_name
from latent_tts.errors import UserError, program

RECIPES = Path(__file__).resolve().parents[3] / "recipes"
MAX_BAD = 0.05  # share of broken recordings or cuts that is borne


@program
def main(argv: list[str] | None = None) -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form, allow_abbrev=False)
    add = parser.add_argument
    add("--corpus", type=Path, required=True, metavar="YAML", help="local/corpus.yaml")
    add("--corpus_dir", type=Path, required=True, help="the folder that holds small/, medium/ or large/")
    add("--data_dir", type=Path, default=Path("data"))
    add("--parts", nargs="+", default=["small"], metavar="PART", help="small, medium, large, duplicate")
    add("--manifests", type=Path, nargs="+", default=[], metavar="JSONL", help="libriheavy_cuts_*.jsonl.gz")
    add("--whisper", type=Path, help="recogniser where there are no manifests (tools/get_whisper.sh)")
    add("--shortest", type=float, default=3.0, help="seconds of an utterance")
    add("--longest", type=float, default=20.0, help="seconds of an utterance")
    add("--nj", type=int, default=1, help="parts in which they are cut and read")
    add("--cluster", choices=["local", "slurm"], default="local", help="where these parts run")
    add("--slurm", nargs="*", default=[], metavar="KEY=VALUE", help="for sbatch")
    add("--logs", type=Path, default=Path("exp/log"), help="folder for their logs")
    options, rest = parser.parse_known_args(argv)
    folder, transcripts = utterances(options)
    places = ["--corpus", options.corpus, "--corpus_dir", folder, "--data_dir", options.data_dir]
    command = [sys.executable, RECIPES / "prepare.py", *places, *transcripts, *rest]
    return subprocess.run(list(map(str, command))).returncode


def utterances(options: argparse.Namespace) -> tuple[Path, list]:
    """Make the Kaldi directory of all utterances -> it, and the option that names the table of its texts, if any."""
    if not (options.manifests or options.whisper):
        raise UserError("Libri-Light has no texts; give --manifests (Libriheavy's) or --whisper DIR, a recogniser")
    found = list(read_librilight(options.corpus_dir, options.parts))
    recordings = {recording.name: recording for recording in without_bad(found, "recordings", "name")}
    folder = options.data_dir / ("libriheavy" if options.manifests else "long")
    write_table(folder / "wav.scp", {name: str(recording.path.resolve()) for name, recording in recordings.items()})
    segments, table, transcripts = folder / "segments", folder / "transcripts.tsv", []
    if options.manifests:
        from_manifests(options, recordings, folder)
    else:
        lengths = ["--shortest", options.shortest, "--longest", options.longest]
        in_parts(options, "segment", segments, "--scp", folder / "wav.scp", *lengths)
        in_parts(options, "transcribe", table, "--data_dir", folder, "--whisper", options.whisper)
        transcripts = ["--transcripts", table]
    lines = (line.split() for line in segments.read_text("utf-8").splitlines())
    write_table(folder / "utt2spk", {utt: recordings[name].spk for utt, name, *_ in lines if name in recordings})
    return folder, transcripts


def without_bad(found: Sequence, what: str, name: str) -> list:
    """What has no ``problem``; the others are listed. UserError where these are too many."""
    good = [item for item in found if not item.problem]
    for item in found:
        if item.problem:
            print(f"bad {getattr(item, name)}: {item.problem}", file=sys.stderr)
    print(f"data_prep: {len(found)} {what}, {len(found) - len(good)} bad ones left out", file=sys.stderr)
    if not good or len(found) - len(good) > MAX_BAD * len(found):
        raise UserError(f"{len(found) - len(good)} of {len(found)} {what} are bad (more than {MAX_BAD:.0%}); see above")
    return good


def from_manifests(options: argparse.Namespace, recordings: dict[str, Recording], folder: Path) -> None:
    """Write the segments and text of the cuts that are of a good length and of recordings that are there."""
    found = [cut for manifest in options.manifests for cut in read_libriheavy(manifest)]
    here = [cut for cut in without_bad(found, "cuts", "recording") if cut.recording in recordings]
    fit = [cut for cut in here if options.shortest <= cut.span[1] - cut.span[0] <= options.longest]
    print(
        f"data_prep: {len(here)} cuts are of these recordings, {len(fit)} of them "
        f"{options.shortest:g} to {options.longest:g} s long",
        file=sys.stderr,
    )
    names = {utterance_name(cut.recording, cut.span): cut for cut in fit}
    print(f"data_prep: {len(fit) - len(names)} cuts come twice and are taken once", file=sys.stderr)
    write_table(folder / "text", {name: cut.text for name, cut in names.items()})
    write_segments(folder / "segments", {name: (cut.recording, cut.span) for name, cut in names.items()})


def in_parts(options: argparse.Namespace, stage: str, left: Path, *arguments: object) -> None:
    """Run a stage that leaves ``left``, unless it is there. UserError where it fails: it has said why."""
    if left.exists():
        return
    command = [sys.executable, RECIPES / f"{stage}.py", "--out", left, *arguments]
    if options.nj > 1 or options.cluster != "local":
        array = ["--nj", options.nj, "--cluster", options.cluster, "--name", stage, "--logs", options.logs]
        command = [sys.executable, RECIPES / "job_array.py", *array, "--slurm", *options.slurm, "--", *command]
    if subprocess.run(list(map(str, command))).returncode:
        raise UserError(f"{stage}.py failed, see above; run this again to go on")


if __name__ == "__main__":
    sys.exit(main())
