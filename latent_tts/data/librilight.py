"""Libri-Light: recordings of whole chapters (https://arxiv.org/abs/1912.07875), and where they are cut.

    PART/SPK/BOOK/FILE.flac, FILE.json      PART is small, medium, large or duplicate

A recording is named ``SPK-BOOK-FILE``, an utterance after it and its place in hundredths of a second. What is said in
it is not published with it: Libriheavy's manifests (https://arxiv.org/abs/2309.08105) have most of it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from latent_tts.audio import Span
from latent_tts.data.corpora import SOUNDS
from latent_tts.errors import UserError


@dataclass(frozen=True)
class Recording:
    """A chapter; ``problem`` says what keeps it from being used, or is empty."""

    name: str
    spk: str
    path: Path
    problem: str = ""


@dataclass(frozen=True)
class Cut:
    """A stretch of the recording of that name, and what is said in it; a ``problem`` as above."""

    recording: str
    span: Span
    text: str
    problem: str = ""


def read_librilight(folder: Path, parts: Sequence[str]) -> Iterator[Recording]:
    """Every recording and every JSON of the parts, by path. UserError where a part is not there."""
    for part in parts:
        if not (folder / part).is_dir():
            there = ", ".join(sorted(path.name for path in folder.glob("*/")))
            raise UserError(f"{folder} has no part {part!r}; it has: {there}")
        found = sorted(path for path in (folder / part).glob("*/*/*") if path.suffix in (*SOUNDS, ".json"))
        sounds = {path.with_suffix(""): path for path in found if path.suffix != ".json"}
        for stem in dict.fromkeys(path.with_suffix("") for path in found):
            spk, book = stem.parts[-3:-1]
            name = f"{spk}-{book}-{stem.name}"
            if stem in sounds:
                yield Recording(name, spk, sounds[stem], _metadata_problem(stem.with_name(f"{stem.name}.json"), spk))
            else:
                yield Recording(name, spk, stem.with_name(f"{stem.name}.flac"), "there is no sound beside its JSON")


def read_libriheavy(manifest: Path) -> Iterator[Cut]:
    """The cuts of a manifest, JSON lines that may be compressed, as lhotse writes them.

    Of the texts of a cut the first is taken, with capitals and punctuation. UserError for a file that cannot be read.
    """
    try:
        with gzip.open(manifest, "rt", encoding="utf-8") if manifest.suffix == ".gz" else open(manifest, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield _cut(line, f"{manifest.name}:{number}")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{manifest}: no manifest that can be read ({error}); download it again") from None


def utterance_name(recording: str, span: Span) -> str:
    """RECORDING-BEGIN-END in hundredths of a second."""
    return "-".join([recording, *(f"{round(100 * second):07d}" for second in span)])


def _metadata_problem(path: Path, spk: str) -> str:
    try:
        speaker = json.loads(path.read_bytes())["speaker"]
    except FileNotFoundError:
        return f"its metadata {path.name} is not there"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{path.name} is not JSON that names a speaker"
    return "" if str(speaker) == spk else f"{path.name} says speaker {speaker}, its folder {spk}"


def _cut(line: str | bytes, place: str) -> Cut:
    try:
        values = json.loads(line)
        (supervision,) = values["supervisions"]
        _, spk, book, stem = values["recording"]["id"].split("/")
        texts = supervision.get("custom", {}).get("texts") or [supervision["text"]]
        begin = float(values["start"])
        return Cut(f"{spk}-{book}-{stem}", (begin, begin + float(values["duration"])), " ".join(texts[0].split()))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return Cut(place, (0.0, 0.0), "", f"it is no cut with a recording PART/SPK/BOOK/FILE and a text ({error!r})")
