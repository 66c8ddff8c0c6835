"""Finds speech corpora below a folder by their layout and lists what they hold.

    LibriSpeech   train-*/SPK/CHAPTER/UTT.flac (or .opus) + .trans.txt; machine_transcripts.tsv for what has
    none LJSpeech      wavs/ + metadata.csv (id|raw|normalised) VCTK          wav48*/SPK/UTT.* +
    txt/SPK/UTT.txt Kaldi         wav.scp, text, utt2spk

LibriSpeech's dev-* and test-* parts are never read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from latent_tts.data.kaldi import read_table, sound_path
from latent_tts.errors import UserError

SOUNDS = (".flac", ".wav", ".opus", ".ogg", ".mp3")


@dataclass(frozen=True)
class Item:
    """One utterance as a corpus has it, before any check: ``logprob`` is set where a machine wrote the
    text.
    """

    utt: str
    spk: str
    path: Path
    text: str
    corpus: str
    held_out_by: int | None = None  # the speaker's number, where the corpus sets speakers aside by number
    logprob: float | None = None


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
    """Which of READERS can read this folder, or ""."""
    if (folder / "wav.scp").is_file() and (folder / "utt2spk").is_file():
        return "kaldi"
    if (folder / "metadata.csv").is_file() and (folder / "wavs").is_dir():
        return "ljspeech"
    if (folder / "txt").is_dir() and any(folder.glob("wav48*")):
        return "vctk"
    return "librispeech" if any(folder.glob("train-*/*/*")) else ""


def read_librispeech(folder: Path) -> Iterator[Item]:
    """Every sound file of the train parts. Only speakers with a single utterance can be set aside by
    number.
    """
    sounds = sorted(p for p in folder.glob("train-*/*/*/*") if p.suffix in SOUNDS)
    texts: dict[str, str] = {}
    for listing in sorted(folder.glob("train-*/*/*/*.trans.txt")):
        texts.update(read_table(listing))
    machine = _machine_transcripts(folder / "machine_transcripts.tsv")
    counts: dict[str, int] = {}
    for path in sounds:
        spk = path.stem.split("-")[0]
        counts[spk] = counts.get(spk, 0) + 1
    for path in sounds:
        spk = path.stem.split("-")[0]
        number = int(spk) if counts[spk] == 1 and spk.isdigit() else None
        logprob, text = (None, texts[path.stem]) if path.stem in texts else machine.get(path.stem, (None, ""))
        yield Item(path.stem, spk, path, text, folder.name, number, logprob)
    for utt in sorted(texts.keys() - {path.stem for path in sounds}):
        yield Item(utt, utt.split("-")[0], folder / f"{utt}.flac", texts[utt], folder.name)


def _machine_transcripts(path: Path) -> dict[str, tuple[float, str]]:
    """utt -> (mean log-probability, text) from a table with the header ``utt avg_logprob text``; {} when
    there is none.
    """
    if not path.is_file():
        return {}
    table = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], start=2):
        try:
            utt, logprob, text = line.split("\t")
            table[utt] = (float(logprob), text)
        except ValueError as error:
            raise UserError(f"{path}:{number}: want three columns: utt, avg_logprob, text") from error
    return table


def read_ljspeech(folder: Path) -> Iterator[Item]:
    """One speaker, named as the folder. The normalised column is taken where there is one."""
    sounds = {path.stem: path for path in sorted((folder / "wavs").iterdir()) if path.suffix in SOUNDS}
    for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines():
        name, *columns = line.split("|")
        text = next((column for column in reversed(columns) if column.strip()), "")
        path = sounds.get(name, folder / "wavs" / f"{name}.wav")
        yield Item(f"{folder.name}-{name}", folder.name, path, text, folder.name)


def read_vctk(folder: Path) -> Iterator[Item]:
    """Every text with its sound; of several microphones (``UTT_mic1``) the first is taken."""
    sounds: dict[str, Path] = {}
    for path in sorted(folder.glob("wav48*/*/*")):
        if path.suffix in SOUNDS:
            sounds.setdefault(path.stem.split("_mic")[0], path)
    for listing in sorted(folder.glob("txt/*/*.txt")):
        path = sounds.get(listing.stem, folder / f"{listing.stem}.wav")
        yield Item(
            listing.stem, listing.parent.name, path, listing.read_text(encoding="utf-8").strip(), folder.name
        )


def read_kaldi(folder: Path) -> Iterator[Item]:
    """Speakers and ids get the corpus's name in front, so that two corpora's numbered speakers stay apart."""
    wavs, texts, spks = (read_table(folder / name) for name in ("wav.scp", "text", "utt2spk"))
    for utt, value in wavs.items():
        spk = spks.get(utt, "")
        number = int(spk) if spk.isdigit() else None
        rest = utt.removeprefix(spk).lstrip("-_")
        name = f"{folder.name}_{spk}"
        yield Item(f"{name}-{rest}", name, sound_path(folder, value), texts.get(utt, ""), folder.name, number)


READERS = {"librispeech": read_librispeech, "ljspeech": read_ljspeech, "vctk": read_vctk, "kaldi": read_kaldi}
