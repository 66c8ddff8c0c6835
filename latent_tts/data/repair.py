"""Puts a data directory right: what can be sorted, merged or counted again is; what cannot is left out and named."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from latent_tts import audio
from latent_tts.data.kaldi import (
    OPTIONAL,
    TABLES,
    Entry,
    Segment,
    entry_problem,
    numbered_lines,
    segment,
    segment_problem,
    sound_path,
    spk2utt,
    validate_data_dir,
    write_table,
)
from latent_tts.errors import UserError

BESIDE = ("phones", "prompt_text", "utt2voice")  # tables by utterance that others leave in a data directory
BACKUP = ".backup"


def fix_data_dir(path: str | Path) -> tuple[list[str], int]:
    """Make a data directory sound; a sound one is not touched. What it was goes into ``.backup`` in it.

    Returns a line for everything that was left out, ``utterance: why``, and how many utterances remain. Left out is
    what any table lacks, says twice and differently, or says wrongly; then tables are sorted, spk2utt made of utt2spk,
    and wanting durations measured. Raises UserError, with nothing changed, where no utterance would remain.
    """
    folder, problems = Path(path), []
    if not validate_data_dir(folder):
        return [], len(_table(folder / "utt2spk", problems))
    tables = {}
    for name in (*TABLES, *BESIDE):
        if name in TABLES and name not in (*OPTIONAL, "spk2utt") or (folder / name).exists():
            tables[name] = _table(folder / name, problems)
    keys = tables["segments"] if "segments" in tables else tables["wav.scp"]
    entries = []
    for utt in sorted(set().union(keys, tables["text"], tables["utt2spk"])):
        try:
            entries.append(_entry(folder, utt, tables))
        except UserError as error:
            problems.append(f"{utt}: {error}")
    if not entries:
        raise UserError(f"{folder}: no utterance is sound, {problems[0]}; nothing was changed")
    _keep_old(folder, tables)
    _write(folder, entries, tables)
    return problems, len(entries)


def _table(path: Path, problems: list[str]) -> dict[str, str]:
    """A table without the keys that come twice with different values."""
    table: dict[str, str] = {}
    torn = set()
    for number, key, value in numbered_lines(path):
        if table.setdefault(key, value) != value:
            problems.append(f"{key}: {path.name}:{number} says something else than a line before")
            torn.add(key)
    return {key: value for key, value in table.items() if key not in torn}


def _entry(folder: Path, utt: str, tables: dict[str, dict[str, str]]) -> Entry:
    """An utterance of the tables. UserError says why it cannot be one."""
    for name in ("text", "utt2spk", "segments" if "segments" in tables else "wav.scp"):
        if not tables[name].get(utt):
            raise UserError(f"{name} says nothing of it")
    piece = segment(tables["segments"][utt]) if "segments" in tables else None
    recording = piece.recording if piece else utt
    if recording not in tables["wav.scp"]:
        raise UserError(f"its recording {recording!r} is not in wav.scp")
    sound = sound_path(folder, tables["wav.scp"][recording])
    if not sound.is_file():
        raise UserError(f"no file {sound}")
    seconds = _seconds(sound, piece, tables.get("utt2dur", {}).get(utt, ""))
    entry = Entry(utt, tables["utt2spk"][utt], sound, tables["text"][utt], seconds)
    if problem := entry_problem(entry):
        raise UserError(problem)
    return entry


def _seconds(sound: Path, piece: Segment | None, told: str) -> float:
    """How long an utterance lasts: as its piece says, as it is told, or as its file is."""
    if piece:
        if problem := segment_problem(piece, audio.seconds(sound)):
            raise UserError(problem)
        return piece.end - piece.start
    try:
        seconds = float(told)
    except ValueError:
        seconds = 0.0
    return seconds if 0 < seconds < float("inf") else audio.seconds(sound)


def _keep_old(folder: Path, names: Iterable[str]) -> None:
    """Copy the tables as they are into the backup folder; one of an earlier repair is replaced."""
    (folder / BACKUP).mkdir(exist_ok=True)
    for name in {*names, "spk2utt"}:
        if (folder / name).exists():
            shutil.copyfile(folder / name, folder / BACKUP / name)


def _write(folder: Path, entries: list[Entry], tables: dict[str, dict[str, str]]) -> None:
    """Write the tables with these utterances alone, the one that names the sounds last."""
    utts = [entry.utt for entry in entries]
    for name in sorted(tables.keys() - {"wav.scp", "spk2utt", "utt2dur"}):
        write_table(folder / name, {utt: tables[name][utt] for utt in utts if tables[name].get(utt)})
    write_table(folder / "utt2dur", {entry.utt: f"{entry.seconds:.4f}" for entry in entries})
    write_table(folder / "spk2utt", spk2utt(entries))
    pieces = tables.get("segments")
    sounds = {segment(pieces[utt]).recording for utt in utts} if pieces else set(utts)
    write_table(folder / "wav.scp", {key: tables["wav.scp"][key] for key in sounds})
