"""What a batch is to say: manifests as JSON lines, a table with a header, a Kaldi directory or a Seed-TTS list.

    *.jsonl    {"id": "a1", "text": "Hello.", "voice": "anna"} a line; also reference, reference_text, seed
    *.tsv      the same names in the first line, tabs between; the trial lists of ``tts eval`` are such tables
    *.lst      utt|what the prompt says|prompt.wav|text[|recording of the text]
    a folder   text, and wav.scp (references), prompt_text, utt2voice (saved voices) where they are there

A relative path counts from the manifest's folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from latent_tts.data.kaldi import read_table, sound_path
from latent_tts.data.prompt_lists import seed_tts
from latent_tts.errors import UserError
from latent_tts.text.markup import voice_of

ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # it becomes the name of a file
COLUMNS = {"id", "text", "voice", "reference", "reference_text", "seed"}
IGNORED = {"speaker"}
EXAMPLE = '{"id": "a1", "text": "Hello."}'


@dataclass(frozen=True)
class Row:
    """An utterance to make: in a saved ``voice`` or that of a ``reference``, else in the batch's own."""

    id: str
    text: str
    voice: str = ""
    reference: Path | None = None
    reference_text: str = ""
    seed: int | None = None


def read_manifest(path: str | Path) -> list[Row]:
    """The rows of a manifest in its order. UserError with the line for what cannot be a row, and for a doubled id."""
    path = Path(path)
    if path.is_dir():
        rows = list(_kaldi(path))
    elif path.suffix not in READERS:
        raise UserError(f"{path} is no manifest; give a folder or a file ending in {', '.join(READERS)}")
    else:
        rows = list(_read(path, READERS[path.suffix]))
    if not rows:
        raise UserError(f"{path} holds no rows; give at least one")
    return rows


def checked(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows as they are. UserError for the first that cannot be one."""
    seen: set[str] = set()
    for row in rows:
        if not isinstance(row.id, str) or not ID.fullmatch(row.id):
            raise UserError(f"id {str(row.id)[:60]!r}: use letters, digits, . - and _; a file is named after it")
        if row.id.lower() in seen:
            raise UserError(f"id {row.id!r} comes twice; every row needs its own, in capitals or not")
        if not isinstance(row.text, str) or not row.text.strip():
            raise UserError(f"row {row.id!r} has no text; give it something to say")
        if row.seed is not None and (type(row.seed) is not int or not 0 <= row.seed < 2**63):
            raise UserError(f"row {row.id!r}: seed {row.seed!r}; give a whole number from 0 on")
        if row.voice and row.reference:
            raise UserError(f"row {row.id!r} has both a voice and a reference; give one of them")
        if row.voice:
            voice_of(row.voice)
        seen.add(row.id.lower())
        yield row


def _read(path: Path, reader: Callable[[Path, int, str, list[str]], Row | None]) -> Iterator[Row]:
    """Rows of a file; whatever is wrong with one is said with its line."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a manifest that can be read") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; convert it first, for instance with iconv -t UTF-8") from None
    number = 0

    def rows() -> Iterator[Row]:
        nonlocal number
        for line in lines:
            number += 1
            if line.strip() and (row := reader(path, number, line.rstrip("\r"), header)):
                yield row

    header = lines[0].rstrip("\r").split("\t")
    try:
        yield from checked(rows())
    except UserError as error:
        raise UserError(f"{path}, line {number}: {error}") from None


def _json_line(path: Path, number: int, line: str, header: list[str]) -> Row:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(f"it is not JSON; write it like {EXAMPLE}") from None
    if not isinstance(values, dict):
        raise UserError(f"it is no object; write it like {EXAMPLE}")
    return _row(path, values)


def _table_line(path: Path, number: int, line: str, header: list[str]) -> Row | None:
    if number == 1:
        _row(path, dict.fromkeys(header, ""))
        return None
    cells = line.split("\t")
    if len(cells) != len(header):
        raise UserError(f"it has {len(cells)} cells, the first line {len(header)}; put tabs between them")
    values = dict(zip(header, cells))
    seed = values.pop("seed", "")
    if seed and not re.fullmatch("[0-9]{1,19}", seed):
        raise UserError(f"seed {seed[:30]!r}; give a whole number from 0 on")
    return replace(_row(path, values), seed=int(seed) if seed else None)


def _seed_tts_line(path: Path, number: int, line: str, header: list[str]) -> Row:
    said = seed_tts(line, path.parent)
    return Row(said.id, said.text, reference=said.prompt, reference_text=said.prompt_text)


def _kaldi(folder: Path) -> Iterator[Row]:
    texts = read_table(folder / "text")
    tables = [folder / name for name in ("wav.scp", "prompt_text", "utt2voice")]
    wavs, said, voices = (read_table(table) if table.exists() else {} for table in tables)
    yield from checked(
        Row(
            utt,
            text,
            voices.get(utt, ""),
            sound_path(folder, wavs[utt]) if utt in wavs and utt not in voices else None,
            said.get(utt, ""),
        )
        for utt, text in texts.items()
    )


def _row(path: Path, values: dict) -> Row:
    """A row of named values. UserError for a name that is not known and for one that is wanting."""
    unknown = sorted(values.keys() - COLUMNS - IGNORED)
    if unknown:
        raise UserError(f"{unknown[0][:40]!r} is not known; known are {', '.join(sorted(COLUMNS))}")
    if not {"id", "text"} <= values.keys():
        raise UserError("id and text are wanted; name both")
    words = {name: values.get(name) or "" for name in ("voice", "reference", "reference_text")}
    if not all(isinstance(word, str) for word in words.values()):
        raise UserError("voice, reference and reference_text are texts; put them in quotation marks")
    reference = path.parent / words.pop("reference") if words["reference"] else words.pop("reference") or None
    return Row(values["id"], values["text"], reference=reference, seed=values.get("seed"), **words)


READERS = {".jsonl": _json_line, ".tsv": _table_line, ".lst": _seed_tts_line}
