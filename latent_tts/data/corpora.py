"""What speech corpora hold, by the layouts in which they are published.

    librispeech   PART/SPK/CHAPTER/UTT.flac (or .opus) and SPK-CHAPTER.trans.txt               openslr.org/12
    libritts      PART/SPK/CHAPTER/UTT.wav and UTT.normalized.txt                              openslr.org/60, 141
    ljspeech      wavs/ and metadata.csv (id|raw|normalised)                                   keithito.com
    vctk          wav48*/SPK/UTT*.flac and txt/SPK/UTT.txt                                     doi.org/10.7488/ds/2645
    kaldi         wav.scp, text, utt2spk, segments where it cuts
    collection    a folder of corpora, each in one of these layouts but libritts

A reader lists everything that ought to be there, also what is broken: it opens no sound. Libri-Light's long recordings
are in ``data.librilight``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from latent_tts.audio import Span
from latent_tts.data.kaldi import places, read_table, sound_path
from latent_tts.errors import UserError

SOUNDS = (".flac", ".wav", ".opus", ".ogg", ".mp3")


@dataclass(frozen=True)
class Item:
    """One utterance as a corpus has it, before any check.

    ``text`` is None where the corpus gives none; ``part`` is the part of the corpus, or its name; ``number`` decides
    whether it is held out where no part is, and is None for what never is; ``logprob`` is the recogniser's mean
    log-probability where a machine wrote the text. ``span`` and ``recording`` are those of ``kaldi.Entry``.
    """

    utt: str
    spk: str
    path: Path
    text: str | None
    part: str
    number: int | None = None
    logprob: float | None = None
    span: Span | None = None
    recording: str = ""


def read_librispeech(folder: Path, parts: Sequence[str]) -> Iterator[Item]:
    """Held out by speaker. A transcript without its sound is an item, too: of a file that is not there."""
    for part in parts:
        lines = [line for listing in sorted((folder / part).glob("*/*/*.trans.txt")) for line in _lines(listing)]
        texts, sounds = dict(lines), _sounds((folder / part).glob("*/*/*"))
        heard = {path.stem for path in sounds}
        places = [(path.stem, path) for path in sounds]
        for utt, count in Counter(utt for utt, _ in lines).items():
            spk, chapter, *_ = [*utt.split("-"), ""]
            places += [(utt, folder / part / spk / chapter / f"{utt}.flac")] * (count - (utt in heard))
        for utt, path in places:
            spk = utt.split("-")[0]
            yield Item(utt, spk, path, texts.get(utt), part, _number(spk))


def read_libritts(folder: Path, parts: Sequence[str]) -> Iterator[Item]:
    """Held out by speaker; the text is the normalised one. In ids ``-`` stands for ``_``, so that they sort as their
    speakers do."""
    for part in parts:
        sounds = _sounds((folder / part).glob("*/*/*"))
        texts = {path.name.split(".")[0]: path for path in sorted((folder / part).glob("*/*/*.normalized.txt"))}
        lacking = texts.keys() - {path.stem for path in sounds}
        for path in [*sounds, *(texts[name].with_name(f"{name}.wav") for name in sorted(lacking))]:
            text = _read(texts[path.stem]).strip() if path.stem in texts else None
            spk = path.parent.parent.name
            yield Item(path.stem.replace("_", "-"), spk, path, text, part, _number(spk))


def read_ljspeech(folder: Path, parts: Sequence[str] = ()) -> Iterator[Item]:
    """One speaker, named as the folder; held out by utterance. Of the columns the last that is not empty is taken."""
    sounds = {path.stem: path for path in _sounds((folder / "wavs").glob("*"))}
    speaker = folder.resolve().name
    for line in _read(folder / "metadata.csv").splitlines():
        name, *columns = line.split("|")
        text = next((column for column in reversed(columns) if column.strip()), "")
        path = sounds.get(name, folder / "wavs" / f"{name}.wav")
        yield Item(f"{speaker}-{name}", speaker, path, text, speaker, _number(name))


def read_vctk(folder: Path, parts: Sequence[str] = ()) -> Iterator[Item]:
    """Held out by speaker; of several microphones (``UTT_mic1``) the first is taken."""
    sounds: dict[str, Path] = {}
    for path in _sounds(folder.glob("wav48*/*/*")):
        sounds.setdefault(path.stem.split("_mic")[0], path)
    texts = {path.stem: path for path in folder.glob("txt/*/*.txt")}
    for utt in sorted(sounds.keys() | texts.keys()):
        path = sounds.get(utt) or folder / "wav48" / utt.split("_")[0] / f"{utt}.wav"
        text = _read(texts[utt]).strip() if utt in texts else None
        yield Item(utt, path.parent.name, path, text, folder.resolve().name, _number(path.parent.name))


def read_kaldi(folder: Path, parts: Sequence[str] = ()) -> Iterator[Item]:
    """Held out by speaker, where speakers are numbers."""
    wavs, spks = read_table(folder / "wav.scp"), read_table(folder / "utt2spk")
    texts = read_table(folder / "text") if (folder / "text").exists() else {}
    for utt, (recording, span) in places(folder, wavs).items():
        spk, path = spks.get(utt, ""), sound_path(folder, wavs[recording])
        number = int(spk) if spk.isdecimal() else None
        item = Item(utt, spk, path, texts.get(utt), folder.resolve().name, number)
        yield replace(item, span=span, recording=recording) if span else item


def read_collection(folder: Path, exclude: Sequence[str] = ()) -> Iterator[Item]:
    """All corpora at most two folders down but those named in ``exclude``.

    LibriSpeech's dev and test parts are never read, and machine_transcripts.tsv beside its parts gives texts. Held out
    are LibriSpeech's speakers with a single utterance and numbered speakers of Kaldi directories. The latter get their
    corpus's name in front, so that two corpora's numbers stay apart. UserError where there is no corpus.
    """
    corpora = find_corpora(folder)
    unknown = sorted(set(exclude) - corpora.keys())
    if unknown:
        raise UserError(f"--exclude {unknown[0]}: no such corpus in {folder}; it has: {', '.join(sorted(corpora))}")
    kept = {name: corpus for name, corpus in corpora.items() if name not in exclude}
    if not kept:
        raise UserError(f"{folder}: no corpus found; want the layout of LibriSpeech, LJSpeech, VCTK or Kaldi")
    for name, (layout, corpus) in kept.items():
        yield from _collected(name, layout, corpus)


def _collected(name: str, layout: str, corpus: Path) -> Iterator[Item]:
    if layout == "librispeech":
        parts = sorted(path.name for path in corpus.glob("train-*"))
        items = [replace(item, part=name) for item in read_librispeech(corpus, parts)]
        counts = Counter(item.spk for item in items)
        items = [item if counts[item.spk] == 1 else replace(item, number=None) for item in items]
        table = corpus / "machine_transcripts.tsv"
        yield from with_transcripts(items, read_transcripts(table) if table.is_file() else {})
    elif layout == "kaldi":
        for item in read_kaldi(corpus):
            rest = item.utt.removeprefix(item.spk).lstrip("-_")
            spk = f"{name}_{item.spk}"
            yield replace(item, utt=f"{spk}-{rest}", spk=spk)
    else:
        yield from (replace(item, number=None) for item in READERS[layout](corpus))


def find_corpora(root: str | Path, depth: int = 2) -> dict[str, tuple[str, Path]]:
    """Corpus name (its folder's) -> (layout, folder), at most ``depth`` folders below ``root``."""
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give --corpus_dir the folder that holds the corpora")
    layout = layout_of(root)
    if layout:
        return {root.resolve().name: (layout, root)}
    found: dict[str, tuple[str, Path]] = {}
    for folder in sorted(p for p in root.iterdir() if p.is_dir()) if depth else ():
        for name, corpus in find_corpora(folder, depth - 1).items():
            if name in found:
                raise UserError(f"{corpus[1]} and {found[name][1]} have one name; rename one of the folders")
            found[name] = corpus
    return found


def layout_of(folder: Path) -> str:
    """Which of a collection's layouts this folder has, or ""."""
    if (folder / "wav.scp").is_file() and (folder / "utt2spk").is_file():
        return "kaldi"
    if (folder / "metadata.csv").is_file() and (folder / "wavs").is_dir():
        return "ljspeech"
    if (folder / "txt").is_dir() and any(folder.glob("wav48*")):
        return "vctk"
    return "librispeech" if any(folder.glob("train-*/*/*")) else ""


def read_transcripts(path: str | Path) -> dict[str, tuple[float, str]]:
    """utt -> (mean log-probability, text) from a table with the header ``utt avg_logprob text``, tabs between, as
    recipes/transcribe.py writes it. UserError for a line that is none."""
    table: dict[str, tuple[float, str]] = {}
    for number, line in enumerate(_read(Path(path)).splitlines()[1:], start=2):
        try:
            utt, logprob, text = line.split("\t")
            table[utt] = (float(logprob), text)
        except ValueError:
            raise UserError(f"{path}:{number}: want three columns: utt, avg_logprob, text; tabs between") from None
    return table


def with_transcripts(items: Sequence[Item], table: dict[str, tuple[float, str]]) -> Iterator[Item]:
    """The items; one without a text gets that of the table, if it has one."""
    for item in items:
        if item.text is None and item.utt in table:
            logprob, text = table[item.utt]
            item = replace(item, text=text, logprob=logprob)
        yield item


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a UTF-8 text file that can be read ({error})") from None


def _lines(listing: Path) -> list[tuple[str, str]]:
    """(utt, text) of every line of a .trans.txt."""
    split = (line.partition(" ") for line in _read(listing).splitlines())
    return [(utt, text.strip()) for utt, _, text in split if utt]


def _sounds(paths: Iterator[Path]) -> list[Path]:
    return sorted(path for path in paths if path.suffix in SOUNDS)


def _number(name: str) -> int | None:
    """The digits of a name read as one number: p225 -> 225, LJ001-0017 -> 10017."""
    digits = re.sub(r"\D", "", name)
    return int(digits) if digits else None


READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[Item]]] = {
    "librispeech": read_librispeech,
    "libritts": read_libritts,
    "ljspeech": read_ljspeech,
    "vctk": read_vctk,
    "kaldi": read_kaldi,
    "collection": read_collection,
}
