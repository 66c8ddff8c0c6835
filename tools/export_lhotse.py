#!/usr/bin/env python3
"""Makes lhotse manifests of a Kaldi data directory: recordings, supervisions and cuts, as .jsonl.gz.

    export_lhotse.py data/train manifests/train

A recording that lhotse cannot open is left out with its utterances, a line for each on standard error. Exit status: 1
where something was left out, 2 where the directory cannot be read or nothing of it can be opened.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from latent_tts.data.kaldi import Entry, read_data_dir
from latent_tts.errors import UserError, program

if TYPE_CHECKING:
    from lhotse import Recording, SupervisionSegment


@program
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="the data directory")
    parser.add_argument("out", type=Path, help="folder for recordings.jsonl.gz, supervisions.jsonl.gz, cuts.jsonl.gz")
    options = parser.parse_args(argv)
    problems: list[str] = []
    entries = read_data_dir(options.data_dir)
    recordings = opened(entries, problems)
    for problem in problems:
        print(f"export_lhotse: {problem}", file=sys.stderr)
    if not recordings:
        raise UserError(f"{options.data_dir}: no recording can be opened; see the lines above")
    said = [supervision(entry) for entry in entries if recording_of(entry) in recordings]
    write(options.out, list(recordings.values()), said)
    left_out = len(entries) - len(said)
    print(
        f"{options.out}: {len(said)} supervisions of {len(recordings)} recordings, {left_out} left out", file=sys.stderr
    )
    return 1 if problems else 0


def recording_of(entry: Entry) -> str:
    """The id of the recording that an utterance is, or is a stretch of."""
    return entry.recording or entry.utt


def opened(entries: Iterable[Entry], problems: list[str]) -> dict[str, Recording]:
    """The recordings by their ids; one that cannot be opened is added to ``problems``."""
    try:
        from lhotse import Recording
    except ImportError:
        raise UserError("lhotse is not installed; pip install 'latent-tts[train]'") from None
    recordings = {}
    for name, path in {recording_of(entry): entry.path for entry in entries}.items():
        try:
            recordings[name] = Recording.from_file(path.resolve(), recording_id=name)
        except Exception as error:  # each of lhotse's readers of sound has its own
            reason = (str(error) or type(error).__name__).splitlines()[0][:120]
            problems.append(f"{name}: {path} cannot be opened ({reason})")
    return recordings


def supervision(entry: Entry) -> SupervisionSegment:
    from lhotse import SupervisionSegment

    start = entry.span[0] if entry.span else 0.0
    return SupervisionSegment(
        id=entry.utt,
        recording_id=recording_of(entry),
        start=start,
        duration=round(entry.seconds, 4),
        text=entry.text,
        speaker=entry.spk,
        language="English",
    )


def write(folder: Path, recordings: list[Recording], said: list[SupervisionSegment]) -> None:
    """Write the three manifests, each beside its place and then renamed; cuts.jsonl.gz comes last."""
    from lhotse import CutSet, RecordingSet, SupervisionSet

    folder.mkdir(parents=True, exist_ok=True)
    sets = {
        "recordings": RecordingSet.from_recordings(recordings),
        "supervisions": SupervisionSet.from_segments(said),
    }
    # A cut is an utterance, not a recording: long recordings hold many.
    cuts = CutSet.from_manifests(**sets).trim_to_supervisions(keep_overlapping=False)
    for name, manifest in {**sets, "cuts": cuts}.items():
        beside = folder / f".{name}.part.jsonl.gz"
        manifest.to_file(beside)
        beside.replace(folder / f"{name}.jsonl.gz")


if __name__ == "__main__":
    sys.exit(main())
