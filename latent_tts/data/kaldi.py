"""Kaldi data directories: plain tables, one utterance a line, sorted as ``LC_ALL=C sort`` does.

    wav.scp   utt  path to a sound file; a relative path counts from the data directory
    text      utt  what is said
    utt2spk   utt  speaker
    spk2utt   speaker  utt utt ...
    utt2dur   utt  seconds
    segments  utt  recording begin end    in seconds; where it is there, wav.scp names recordings and not utterances

The layout is https://kaldi-asr.org/doc/data_prep.html. A wav.scp entry that is a command (ends in ``|``) is refused: it
would run whatever a downloaded directory says.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latent_tts import audio
from latent_tts.errors import UserError


@dataclass(frozen=True)
class Entry:
    """One utterance: its id, its speaker, the sound file, what is said, how long it is in seconds.

    Where it is a stretch of a longer ``recording``, that has a name and ``span`` is where it lies in it, in seconds.
    """

    utt: str
    spk: str
    path: Path
    text: str
    seconds: float
    span: audio.Span | None = None
    recording: str = ""

    def read(self, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
        """Its sound (T,) and rate, as ``audio.read`` gives them."""
        return audio.read(self.path, sample_rate, span=self.span)


def read_data_dir(path: str | Path) -> list[Entry]:
    """The utterances of a data directory, in id order. Without utt2dur the durations come from the sound
    files.

    Raises UserError at the first broken line; ``validate_data_dir`` lists them all.
    """
    folder = Path(path)
    wavs, texts, spks = (read_table(folder / name) for name in ("wav.scp", "text", "utt2spk"))
    places_of = places(folder, wavs)
    for name, table in (("text", texts), ("utt2spk", spks)):
        odd = sorted(places_of.keys() ^ table.keys())
        if odd:
            here = "segments" if (folder / "segments").exists() else "wav.scp"
            raise UserError(f"{folder}: {here} and {name} disagree on {odd[0]!r}; see tools/validate_data_dir.py")
    durations = read_table(folder / "utt2dur") if (folder / "utt2dur").exists() else {}
    entries = []
    for utt, (recording, span) in sorted(places_of.items()):
        sound = sound_path(folder, wavs[recording])
        if span:
            entries.append(Entry(utt, spks[utt], sound, texts[utt], span[1] - span[0], span, recording))
            continue
        seconds = _seconds(folder, utt, durations[utt]) if utt in durations else audio.seconds(sound)
        entries.append(Entry(utt, spks[utt], sound, texts[utt], seconds))
    return entries


def read_segments(path: str | Path) -> dict[str, tuple[str, audio.Span]]:
    """utt -> (recording, (begin, end) in seconds). Raises UserError for a line that is none."""
    return {utt: _segment(Path(path), utt, value) for utt, value in read_table(path).items()}


def places(folder: Path, wavs: Mapping[str, str]) -> dict[str, tuple[str, audio.Span | None]]:
    """utt -> the recording of ``wavs``, the table wav.scp, that it is in, and where; (utt, None) without segments."""
    if not (folder / "segments").exists():
        return {utt: (utt, None) for utt in wavs}
    segments = read_segments(folder / "segments")
    for utt, (recording, _) in segments.items():
        if recording not in wavs:
            raise UserError(f"{folder / 'segments'}: {utt!r}: wav.scp has no recording {recording!r}; add its line")
    return segments


def write_segments(path: str | Path, segments: Mapping[str, tuple[str, audio.Span]]) -> None:
    """Write what ``read_segments`` reads, to the tenth of a millisecond."""
    write_table(path, {utt: f"{rec} {span[0]:.4f} {span[1]:.4f}" for utt, (rec, span) in segments.items()})


def write_data_dir(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write the five tables, sorted, each one beside itself and then renamed, and ``segments`` where entries are
    stretches of recordings: then all are. Nothing is written if an entry is unfit.
    """
    folder = Path(path)
    entries = sorted(entries, key=lambda entry: entry.utt)
    seen, cut = set(), any(entry.span for entry in entries)
    for entry in entries:
        problem = "comes twice" if entry.utt in seen else entry_problem(entry)
        if cut and not entry.span:
            problem = "it is no stretch of a recording, others are"
        if problem:
            raise UserError(f"utterance {entry.utt!r}: {problem}; {folder} was not written")
        seen.add(entry.utt)
    by_speaker: dict[str, list[str]] = {}
    for entry in entries:
        by_speaker.setdefault(entry.spk, []).append(entry.utt)
    write_table(folder / "text", {e.utt: e.text for e in entries})
    write_table(folder / "utt2spk", {e.utt: e.spk for e in entries})
    write_table(folder / "spk2utt", {spk: " ".join(utts) for spk, utts in by_speaker.items()})
    write_table(folder / "utt2dur", {e.utt: f"{e.seconds:.4f}" for e in entries})
    if cut:
        write_segments(folder / "segments", {e.utt: (e.recording, e.span) for e in entries})
    else:
        (folder / "segments").unlink(missing_ok=True)
    write_table(folder / "wav.scp", {e.recording if cut else e.utt: str(e.path) for e in entries})


def entry_problem(entry: Entry) -> str:
    """Why an entry cannot stand in a data directory, or "" when it can."""
    for name, key in (("utterance id", entry.utt), ("speaker", entry.spk)):
        if not key or key.split() != [key]:
            return f"the {name} {key!r} is empty or holds white space"
    if not entry.utt.startswith(entry.spk):
        return f"its id does not begin with its speaker {entry.spk!r}"
    if not entry.text.strip() or len(entry.text.splitlines()) != 1:
        return "its text is empty or longer than one line"
    if not 0 < entry.seconds < float("inf"):
        return f"its duration is {entry.seconds} s"
    if entry.span and (entry.recording.split() != [entry.recording] or not 0 <= entry.span[0] < entry.span[1]):
        return f"it lies from {entry.span[0]} to {entry.span[1]} s of the recording {entry.recording!r}"
    return ""


def sound_path(folder: Path, value: str) -> Path:
    """The file a wav.scp value names. Raises UserError for a command."""
    if value.rstrip().endswith("|"):
        raise UserError(
            f"{folder / 'wav.scp'}: commands are not run ({value[:60]!r}); write sound files and name those"
        )
    return folder / value


def read_table(path: str | Path) -> dict[str, str]:
    """A Kaldi table ``key value...`` as a dict in file order. Raises UserError for a missing file or a
    doubled key.
    """
    table: dict[str, str] = {}
    for number, key, value in _lines(Path(path)):
        if key in table:
            raise UserError(f"{path}:{number}: {key!r} comes twice; keep one of the lines")
        table[key] = value
    return table


def write_table(path: str | Path, table: Mapping[str, str]) -> None:
    """Write ``key value`` lines in C order (Python sorts by code point, which is the byte order of UTF-8),
    atomically.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text("".join(f"{key} {table[key]}\n" for key in sorted(table)), encoding="utf-8")
    os.replace(part, path)


def validate_data_dir(path: str | Path) -> list[str]:
    """Everything wrong with a data directory, one ``file:line: what`` each; an empty list means it is sound.

    Sound files are looked for, not opened.
    """
    folder = Path(path)
    problems = []
    tables: dict[str, dict[str, str]] = {}
    for name in ("wav.scp", "text", "utt2spk", "spk2utt", "utt2dur"):
        try:
            tables[name] = _check_table(folder / name, problems)
        except UserError as error:
            if name != "utt2dur" or (folder / name).exists():
                problems.append(str(error))
    if len(tables) - ("utt2dur" in tables) < 4:
        return problems
    first = "wav.scp"
    if (folder / "segments").exists():
        first = "segments"
        tables[first] = _check_table(folder / first, problems)
    for name in tables.keys() - {first, "wav.scp", "spk2utt"}:
        for utt in sorted(tables[first].keys() ^ tables[name].keys()):
            place = name if utt in tables[first] else first
            problems.append(f"{folder / place}: has no line for {utt!r}")
    return (
        problems
        + _check_sounds(folder, tables)
        + _check_segments(folder, tables)
        + _check_speakers(folder, tables)
        + _check_durations(folder, tables)
    )


def _check_table(path: Path, problems: list[str]) -> dict[str, str]:
    """Read a table as far as it goes, adding what is wrong with its form to ``problems``."""
    table: dict[str, str] = {}
    previous = ""
    for number, key, value in _lines(path):
        if key in table:
            problems.append(f"{path}:{number}: {key!r} comes twice")
        elif key < previous:
            problems.append(f"{path}:{number}: {key!r} is out of order (sort with LC_ALL=C)")
        if not value:
            problems.append(f"{path}:{number}: {key!r} has no value")
        table[key] = value
        previous = key
    if not table:
        problems.append(f"{path}: is empty")
    return table


def _check_sounds(folder: Path, tables: dict[str, dict[str, str]]) -> list[str]:
    problems = []
    for number, (utt, value) in enumerate(tables["wav.scp"].items(), start=1):
        try:
            missing = bool(value) and not sound_path(folder, value).is_file()
        except UserError as error:
            problems.append(str(error))
            continue
        if missing:
            problems.append(f"{folder / 'wav.scp'}:{number}: {utt!r}: no file {value}")
    return problems


def _check_segments(folder: Path, tables: dict[str, dict[str, str]]) -> list[str]:
    problems = []
    for number, (utt, value) in enumerate(tables.get("segments", {}).items(), start=1):
        try:
            recording, _ = _segment(folder / "segments", utt, value)
        except UserError as error:
            problems.append(str(error))
            continue
        if recording not in tables["wav.scp"]:
            problems.append(f"{folder / 'segments'}:{number}: {utt!r}: wav.scp has no recording {recording!r}")
    return problems


def _check_speakers(folder: Path, tables: dict[str, dict[str, str]]) -> list[str]:
    problems = []
    for number, (utt, spk) in enumerate(tables["utt2spk"].items(), start=1):
        if not utt.startswith(spk):
            problems.append(f"{folder / 'utt2spk'}:{number}: {utt!r} does not begin with its speaker {spk!r}")
    forward = set(tables["utt2spk"].items())
    backward = {(utt, spk) for spk, utts in tables["spk2utt"].items() for utt in utts.split()}
    for utt, spk in sorted(forward ^ backward):
        here, there = ("utt2spk", "spk2utt") if (utt, spk) in forward else ("spk2utt", "utt2spk")
        problems.append(f"{folder / here}: gives {utt!r} to {spk!r}, {there} does not")
    return problems


def _check_durations(folder: Path, tables: dict[str, dict[str, str]]) -> list[str]:
    problems = []
    for utt, value in tables.get("utt2dur", {}).items():
        try:
            _seconds(folder, utt, value)
        except UserError as error:
            problems.append(str(error))
    return problems


def _seconds(folder: Path, utt: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = float("nan")
    if not 0 < seconds < float("inf"):
        raise UserError(f"{folder / 'utt2dur'}: {utt!r} lasts {value!r} seconds; write a number above 0")
    return seconds


def _segment(path: Path, utt: str, value: str) -> tuple[str, audio.Span]:
    try:
        recording, begin, end = value.split()
        span = float(begin), float(end)
    except ValueError:
        span = (1.0, 0.0)
    if not 0 <= span[0] < span[1] < float("inf"):
        raise UserError(f"{path}: {utt!r} is {value!r}; write its recording, begin and end in seconds")
    return recording, span


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, key and the rest of every line that is not blank. Raises UserError when there is no such
    text file.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; a data directory holds wav.scp, text, utt2spk and spk2utt") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable UTF-8 text file ({error})") from error
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            key, _, value = line.strip().partition(" ")
            yield number, key, value.strip()
