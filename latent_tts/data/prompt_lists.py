"""Lists of what is to be said in whose voice, in the forms that others publish theirs.

    Seed-TTS   utt|what the prompt says|prompt.wav|text[|recording of the text]                (meta.lst)
    F5-TTS     the prompt's utt, its seconds, what it says; utt, its seconds, text             (tabs between)
    VALL-E     what the prompt says, prompt.wav, text, file to write                           (tabs between)

Sources: BytedanceSpeech/seed-tts-eval; the list of LibriSpeech-PC that comes with F5-TTS, whose prompts are files of a
LibriSpeech folder; the demo list of lifeiteng/vall-e.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from latent_tts.errors import UserError

PROMPT_SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


class Prompted(NamedTuple):
    """Say ``text`` like ``prompt``, in which ``prompt_text`` is said by ``speaker`` (the prompt's name, if unknown)."""

    id: str
    text: str
    prompt: Path
    prompt_text: str
    speaker: str


def seed_tts(line: str, folder: Path) -> Prompted:
    """A line of Seed-TTS; a relative path counts from ``folder``, the list's. UserError where it is none."""
    cells = [cell.strip() for cell in line.split("|")]
    if len(cells) not in (4, 5):
        raise UserError(f"it has {len(cells)} cells; write utt|prompt text|prompt wav|text")
    return Prompted(cells[0], cells[3], folder / cells[2], cells[1], Path(cells[2]).stem)


def f5_tts(line: str, librispeech: Path | None) -> Prompted:
    """A line of F5-TTS; prompts are ``librispeech/SPEAKER/CHAPTER/UTT.flac``. UserError where it is none."""
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) != 6 or cells[0].count("-") != 2:
        raise UserError("want six cells (prompt's utt, seconds, text; utt, seconds, text), tabs between")
    if librispeech is None:
        raise UserError("its prompts are recordings of LibriSpeech; give that part's folder, for instance test-clean")
    utt, _, said, target, _, text = cells
    speaker, chapter, _ = utt.split("-")
    return Prompted(target, text, librispeech / speaker / chapter / f"{utt}.flac", said, speaker)


def vall_e(line: str, folder: Path) -> Prompted:
    """A line of VALL-E; a relative path counts from ``folder``, the list's. UserError where it is none."""
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) != 4:
        raise UserError(f"it has {len(cells)} cells; write prompt text, prompt wav, text, file (tabs between)")
    said, prompt, text, target = cells
    name = "_".join(Path(target).with_suffix("").parts).lstrip("/_.")
    return Prompted(name, text, folder / prompt, said, Path(prompt).stem)


def reader_for(line: str, folder: Path, librispeech: Path | None = None) -> Callable[[str], Prompted] | None:
    """What reads lines shaped as this one, the first of a list in ``folder``; None where no form is like it."""
    cells = line.split("\t")
    if line.count("|") in (3, 4) and len(cells) == 1:
        return lambda line: seed_tts(line, folder)
    if len(cells) == 6 and cells[0].count("-") == 2:
        return lambda line: f5_tts(line, librispeech)
    if len(cells) == 4 and Path(cells[1].strip()).suffix.lower() in PROMPT_SUFFIXES:
        return lambda line: vall_e(line, folder)
    return None
