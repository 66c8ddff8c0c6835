"""Puts a data directory right: what can be sorted, merged or measured again is; the rest is left out and named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from latent_tts import audio
from latent_tts.data.kaldi import (
    ROUNDED,
    Entry,
    entry_problem,
    segment,
    sound_path,
    validate_data_dir,
    write_data_dir,
    write_table,
)
from latent_tts.errors import UserError

NEEDED = ("wav.scp", "text", "utt2spk")
BESIDE = ("phones", "prompt_text", "utt2voice")  # tables by utterance that others leave in a data directory
KEPT = (*NEEDED, "spk2utt", "utt2dur", "segments", *BESIDE)
BACKUP = ".backup"

Tables = dict[str, dict[str, str]]


def fix_data_dir(path: str | Path) -> tuple[list[str], int]:
    """Make a data directory sound; a sound one is not touched. What it was goes into ``.backup`` in it.

    Returns a line for everything that was left out, ``utterance: why``, and how many utterances remain. Left out is
    what a table lacks, says twice and differently, or says wrongly; then tables are sorted, spk2utt is made of utt2spk,
    and durations that are wanting are measured. Raises UserError, with nothing changed, where no utterance would
    remain.
    """
    folder, problems = Path(path), []
    tables = {name: _table(folder / name, problems) for name in KEPT if name in NEEDED or (folder / name).exists()}
    if not validate_data_dir(folder):
        return [], len(tables["utt2spk"])
    first = tables.get("segments", tables["wav.scp"])
    entries = []
    for utt in sorted({*first, *tables["text"], *tables["utt2spk"]}):
        try:
            entries.append(_entry(folder, utt, tables))
        except UserError as error:
            problems.append(f"{utt}: {error}")
    if not entries:
        raise UserError(f"{folder}: no utterance is sound ({problems[0] if problems else 'its tables are empty'})")
    _keep_old(folder)
    write_data_dir(folder, entries)
    for name in BESIDE:
        if name in tables:
            write_table(folder / name, {e.utt: tables[name][e.utt] for e in entries if e.utt in tables[name]})
    return problems, len(entries)


def _table(path: Path, problems: list[str]) -> dict[str, str]:
    """A table without the keys that come twice with different values: nobody knows which is right."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); a data directory holds {', '.join(NEEDED)}") from None
    table: dict[str, str] = {}
    torn = set()
    for number, line in enumerate(lines, start=1):
        key, _, value = line.strip().partition(" ")
        if key and table.setdefault(key, value.strip()) != value.strip():
            problems.append(f"{key}: {path.name}:{number} says something else than a line before")
            torn.add(key)
    return {key: value for key, value in table.items() if key not in torn}


def _entry(folder: Path, utt: str, tables: Tables) -> Entry:
    """An utterance of the tables, its path as wav.scp has it. UserError says why it cannot be one."""
    cut = "segments" in tables
    for name in ("segments" if cut else "wav.scp", "text", "utt2spk"):
        if not tables[name].get(utt):
            raise UserError(f"{name} says nothing of it")
    recording, span = segment(folder / "segments", utt, tables["segments"][utt]) if cut else (utt, None)
    if recording not in tables["wav.scp"]:
        raise UserError(f"its recording {recording!r} is not in wav.scp")
    sound = sound_path(folder, tables["wav.scp"][recording])
    lasts = audio.seconds(sound)
    if span and span[1] > lasts + ROUNDED:
        raise UserError(f"it ends at {span[1]:g} s, its recording at {lasts:.2f} s")
    seconds = span[1] - span[0] if span else _told(tables.get("utt2dur", {}).get(utt, "")) or lasts
    entry = Entry(utt, tables["utt2spk"][utt], sound, tables["text"][utt], seconds, span, recording if cut else "")
    if problem := entry_problem(entry):
        raise UserError(problem)
    return replace(entry, path=Path(tables["wav.scp"][recording]))


def _told(value: str) -> float | None:
    """The duration a table tells; None where that is none."""
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def _keep_old(folder: Path) -> None:
    """Copy the tables as they are into the backup folder; those of an earlier repair are replaced."""
    shutil.rmtree(folder / BACKUP, ignore_errors=True)
    (folder / BACKUP).mkdir()
    for name in KEPT:
        if (folder / name).exists():
            shutil.copyfile(folder / name, folder / BACKUP / name)
