#!/usr/bin/env python3
"""Makes a Kaldi data directory of lhotse manifests: cuts, or recordings and supervisions.

    import_lhotse.py --cuts cuts.jsonl.gz --out data/train
    import_lhotse.py --recordings recordings.jsonl.gz --supervisions supervisions.jsonl.gz --out data/train

Every supervision is an utterance, a stretch of its recording (segments) unless all are whole recordings. An id that
does not begin with its speaker gets the speaker in front. What cannot be an utterance is left out, a line for each on
standard error. Exit status: 1 where something was left out, 2 where nothing could be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from latent_tts import audio
from latent_tts.data.kaldi import ROUNDED, Entry, entry_problem, write_data_dir
from latent_tts.errors import UserError, program

if TYPE_CHECKING:
    from lhotse import Recording, SupervisionSegment

WHOLE = 0.02  # seconds by which a supervision may miss its recording's ends and still be all of it
KINDS = {"cuts": "CutSet", "recordings": "RecordingSet", "supervisions": "SupervisionSet"}


@program
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in KINDS:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help="a .jsonl or .jsonl.gz of lhotse")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the data directory")
    options = parser.parse_args(argv)
    problems: list[str] = []
    entries = entries_of(options, problems)
    for problem in problems:
        print(f"import_lhotse: {problem}", file=sys.stderr)
    if not entries:
        raise UserError("no supervision can be an utterance; see the lines above")
    write_data_dir(options.out, entries)
    print(f"{options.out}: {len(entries)} utterances, {len(problems)} left out", file=sys.stderr)
    return 1 if problems else 0


def entries_of(options: argparse.Namespace, problems: list[str]) -> list[Entry]:
    """The utterances of the manifests; what cannot be one is added to ``problems``."""
    entries: dict[str, Entry] = {}
    for name, recording, supervision, start in spoken(options):
        try:
            entry = entry_of(recording, supervision, start)
            if entry.utt in entries:
                raise UserError("its id comes twice")
            entries[entry.utt] = entry
        except UserError as error:
            problems.append(f"{name}: {error}")
    if all(entry.span[0] < WHOLE and entry.span[1] > audio.seconds(entry.path) - WHOLE for entry in entries.values()):
        return [replace(entry, span=None, recording="") for entry in entries.values()]
    return list(entries.values())


def spoken(
    options: argparse.Namespace,
) -> Iterator[tuple[str, Recording | None, SupervisionSegment, float]]:
    """Each supervision with its recording, if that is known, and where in it the supervision begins, in seconds."""
    if options.cuts:
        for cut in load(options.cuts, "cuts"):
            for supervision in cut.supervisions:
                recording = getattr(cut, "recording", None)  # a mixed cut has none
                yield supervision.id, recording, supervision, getattr(cut, "start", 0) + supervision.start
    elif options.recordings and options.supervisions:
        recordings = {recording.id: recording for recording in load(options.recordings, "recordings")}
        for supervision in load(options.supervisions, "supervisions"):
            yield supervision.id, recordings.get(supervision.recording_id), supervision, supervision.start
    else:
        raise UserError("give --cuts FILE, or --recordings FILE and --supervisions FILE")


def load(path: Path, kind: str):
    """A manifest of lhotse. UserError where the file holds none of this kind."""
    try:
        import lhotse
    except ImportError:
        raise UserError("lhotse is not installed; pip install 'latent-tts[train]'") from None
    try:
        return lhotse.load_manifest(path, getattr(lhotse, KINDS[kind]))
    except Exception as error:  # whatever lhotse stumbles over in a file
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise UserError(f"{path} cannot be read as {kind} of lhotse ({reason}); give a .jsonl or .jsonl.gz") from None


def entry_of(recording: Recording | None, supervision: SupervisionSegment, start: float) -> Entry:
    """The utterance that a supervision is. UserError says why it cannot be one."""
    if recording is None:
        raise UserError("its recording is not there, or mixed of several")
    sources = recording.sources
    if len(sources) != 1 or sources[0].type != "file" or recording.num_channels != 1:
        raise UserError(f"recording {recording.id} is not one sound file of one channel")
    if recording.transforms:
        raise UserError(f"recording {recording.id} is to be changed when it is read; save it as it should be heard")
    path = Path(sources[0].source).resolve()
    lasts, end = audio.seconds(path), start + supervision.duration
    if end > lasts + ROUNDED:
        raise UserError(f"it ends at {end:g} s, its recording {recording.id} at {lasts:.2f} s")
    utt, spk = supervision.id, supervision.speaker or ""
    if spk and not utt.startswith(spk):
        utt = f"{spk}-{utt}"
    text = " ".join((supervision.text or "").split())
    entry = Entry(utt, spk, path, text, supervision.duration, (max(0.0, start), end), recording.id)
    if problem := entry_problem(entry):
        raise UserError(problem)
    return entry


if __name__ == "__main__":
    sys.exit(main())
