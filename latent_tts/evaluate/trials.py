"""Trials: which sentence is said in whose voice. A list is made once, kept as a TSV, and every system
speaks all of it.

Columns: id, text, reference (a sound file; a relative path counts from the list's folder), speaker,
reference_text (what the reference says, or empty).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latent_tts import audio
from latent_tts.data import prompt_lists
from latent_tts.data.kaldi import Entry
from latent_tts.errors import UserError
from latent_tts.evaluate.wer import RECOGNISER_RATE, standardise
from latent_tts.files import write_whole

HEADER = ("id", "text", "reference", "speaker", "reference_text")


@dataclass(frozen=True)
class Trial:
    """Say ``text`` in the voice of ``reference``."""

    id: str
    text: str
    reference: Path
    speaker: str
    reference_text: str = ""


def make_trials(
    references: Iterable[Entry],
    sentences: Iterable[tuple[str, str]],
    count: int,
    folder: str | Path,
    seconds: tuple[float, float] = (3.0, 8.0),
    seed: int = 0,
    read: Callable[[np.ndarray], str] | None = None,
) -> list[Trial]:
    """``count`` trials, the same for the same arguments: reference speakers in turn, and sentences
    (speaker, text) of other speakers, drawn without return. Where all is said by one, they are sentences of other
    recordings.

    A reference shorter than ``seconds[0]`` is left out; one longer than ``seconds[1]`` is cut at a pause
    before that and written to ``folder/references``. What is left of it is told by ``read`` (16 kHz wav
    (T,) -> text); without ``read`` its text is empty. Raises UserError when there is too little of either.
    """
    rng = random.Random(seed)
    pool = sorted(set(sentences))
    rng.shuffle(pool)
    chosen = _in_turn([entry for entry in references if entry.seconds >= seconds[0]], count, rng)
    if not chosen or len(pool) < count:
        raise UserError(
            f"{len(pool)} sentences, {len(set(chosen))} references: too few for {count} trials; add data"
        )
    cut = {e: cut_reference(e, Path(folder) / "references", seconds[1], read) for e in dict.fromkeys(chosen)}
    trials, alone = [], len({owner for owner, _ in pool} | {entry.spk for entry in chosen}) == 1
    for number, entry in enumerate(chosen):
        fit = (alone and text not in entry.text or owner != entry.spk for owner, text in pool)
        place = next((i for i, fits in enumerate(fit) if fits), None)
        if place is None:
            raise UserError(f"no sentence of another speaker is left for {entry.spk}; give more sentences")
        trials.append(
            Trial(f"{number:04d}-{entry.spk}", pool.pop(place)[1], cut[entry][0], entry.spk, cut[entry][1])
        )
    return trials


def _in_turn(entries: Iterable[Entry], count: int, rng: random.Random) -> list[Entry]:
    """``count`` entries: each speaker once, in random order, then each again with the next of its
    recordings.
    """
    queues: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: e.utt):
        queues.setdefault(entry.spk, []).append(entry)
    speakers = sorted(queues)
    rng.shuffle(speakers)
    return [queues[spk][turn % len(queues[spk])] for turn in range(count) for spk in speakers][:count]


def fresh_sentences(
    entries: Iterable[Entry], seen: Iterable[str], words: tuple[int, int] = (5, 20)
) -> list[tuple[str, str]]:
    """(speaker, text) of entries with ``words`` words whose text, standardised, is not among ``seen``; each
    text once.
    """
    taken = {standardise(text) for text in seen}
    fresh = []
    for entry in sorted(entries, key=lambda e: e.utt):
        key = standardise(entry.text)
        if words[0] <= len(entry.text.split()) <= words[1] and key and key not in taken:
            taken.add(key)
            fresh.append((entry.spk, entry.text))
    return fresh


def cut_reference(
    entry: Entry, folder: Path, max_seconds: float, read: Callable[[np.ndarray], str] | None = None
) -> tuple[Path, str]:
    """The reference's file and text: the entry's own where it is short enough, else a cut one in
    ``folder``, as for every stretch of a longer recording.
    """
    if entry.seconds <= max_seconds and not entry.span:
        return entry.path, entry.text
    wav, sample_rate = entry.read()
    if entry.seconds > max_seconds:
        wav = wav[: pause_before(wav, sample_rate, max_seconds)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{entry.utt}.wav"
    audio.write(path, wav, sample_rate)
    if entry.seconds <= max_seconds:
        return path, entry.text
    return path, read(audio.read(path, RECOGNISER_RATE)[0]) if read else ""


def pause_before(wav: np.ndarray, sample_rate: int, max_seconds: float) -> int:
    """The sample at which to cut ``wav`` (T,): amid its last pause from half of ``max_seconds`` to all of it.

    A pause is at least 0.2 s in which all 20 ms steps lie 30 dB below the loud tenth of the recording.
    Without any it is the longest such run, and without even that the quietest step.
    """
    level = audio.frame_levels(wav, sample_rate)
    hop = round(0.02 * sample_rate)
    first, last = round(max_seconds / 0.04), min(round(max_seconds / 0.02), len(level))
    quiet = np.flatnonzero(level[first:last] < np.quantile(level, 0.9) - 30) + first
    if not quiet.size:
        return (first + int(np.argmin(level[first:last]))) * hop
    runs = np.split(quiet, np.flatnonzero(np.diff(quiet) > 1) + 1)
    pauses = [run for run in runs if len(run) >= 10]
    run = pauses[-1] if pauses else max(runs, key=len)
    return int(run[0] + run[-1] + 1) * hop // 2


def write_trials(path: str | Path, trials: Sequence[Trial]) -> None:
    """Write the list, whole or not at all; references in or below its folder are written relative to it."""
    path = Path(path)
    base = path.parent.resolve()
    rows = [HEADER]
    for trial in trials:
        reference = trial.reference.resolve()
        place = reference.relative_to(base) if reference.is_relative_to(base) else reference
        rows.append((trial.id, trial.text, str(place), trial.speaker, trial.reference_text))
    for row in rows:
        if any("\t" in cell or "\n" in cell for cell in row):
            raise UserError(f"trial {row[0]!r}: a tab or a line break stands in it; take it out")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join("\t".join(row) + "\n" for row in rows).encode())


def read_trials(path: str | Path, librispeech: str | Path | None = None) -> list[Trial]:
    """The trials of a list: one of ours, which names its columns, or one of those of ``data.prompt_lists``.

    ``librispeech`` is the folder of the recordings that a list of F5-TTS means. Raises UserError for a broken line, a
    doubled id, or a reference that is not there.
    """
    path = Path(path)
    filled = [(number, line) for number, line in enumerate(_lines(path), start=1) if line.strip()]
    if not filled:
        raise UserError(f"{path}: holds no trial")
    number, first = filled[0]
    trials: dict[str, Trial] = {}
    try:
        read = _reader(first, path.parent, librispeech)
        for number, line in filled[first.split("\t") == list(HEADER) :]:  # noqa: B007 (the except below says it)
            trial = read(line)
            if trial.id in trials or "/" in trial.id or not trial.id.strip("."):
                raise UserError(f"want an id of its own, without a slash (a file is named after it), not {trial.id!r}")
            if not trial.reference.is_file():
                raise UserError(f"no reference {trial.reference}")
            trials[trial.id] = trial
    except UserError as error:
        raise UserError(f"{path}:{number}: {error}") from None
    if not trials:
        raise UserError(f"{path}: holds no trial")
    return list(trials.values())


def _lines(path: Path) -> list[str]:
    try:
        return [line.rstrip("\r") for line in path.read_text("utf-8-sig").split("\n")]
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; convert it first, for instance with iconv -t UTF-8") from None
    except OSError:
        raise UserError(f"{path}: no such trial list") from None


def _reader(first: str, folder: Path, librispeech: str | Path | None) -> Callable[[str], Trial]:
    """What reads the lines of a list in ``folder``, by the shape of its first."""
    if first.split("\t") == list(HEADER):
        return lambda line: _own_line(line, folder)
    read = prompt_lists.reader_for(first, folder, Path(librispeech) if librispeech else None)
    if read is None:
        raise UserError(
            f"the first line must name the columns: {', '.join(HEADER)} (tab between), "
            "or the list be one of Seed-TTS, F5-TTS or VALL-E"
        )
    return lambda line: _prompted(read(line))


def _own_line(line: str, folder: Path) -> Trial:
    cells = line.split("\t")
    if len(cells) != len(HEADER) or not all(cells[:4]):
        raise UserError("want five columns; the last one alone may be empty")
    return Trial(cells[0], cells[1], folder / cells[2], cells[3], cells[4])


def _prompted(said: prompt_lists.Prompted) -> Trial:
    if not (said.id and said.text):
        raise UserError("it has no id or no text; give both")
    return Trial(said.id, said.text, said.prompt, said.speaker, said.prompt_text)
