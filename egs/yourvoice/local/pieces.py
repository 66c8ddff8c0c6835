"""Recordings become pieces: stretches of a few seconds between pauses, each with what is said in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from latent_tts import audio
from latent_tts.align.aligner import Aligner
from latent_tts.align.intervals import phone_intervals, word_intervals
from latent_tts.align.pauses import LEVEL_SECONDS, quiet_places
from latent_tts.errors import UserError
from latent_tts.text.normalize import normalize
from latent_tts.text.phonemes import Phonemizer
from latent_tts.text.symbols import SymbolTable

LONGEST = 12.0  # seconds of a piece
WANTED = 4.0  # from here on the next pause ends it
PAUSE = 0.25  # seconds of silence that may be cut in
MOST_SECONDS = 600.0  # of a recording with a transcript: the search for its words takes the square of its length


@dataclass(frozen=True)
class Piece:
    """``begin`` to ``end`` seconds of a recording: its sound (T,), and its text, "" where nobody wrote it down."""

    recording: Path
    begin: float
    end: float
    wav: np.ndarray
    text: str = ""

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    def __str__(self) -> str:
        return f"{self.recording.name} {self.begin:.1f}-{self.end:.1f} s"


def find_recordings(folder: Path) -> list[Path]:
    """Every sound file in ``folder`` and below it. UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"--recordings {folder}: no such folder; give the one that holds the recordings")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in audio.FORMATS)
    if not found:
        raise UserError(f"--recordings {folder}: no sound file in it ({' '.join(audio.FORMATS)})")
    return found


def read_transcripts(path: Path) -> dict[str, str]:
    """File name without its ending -> what is said, from lines ``name|text`` (of several columns the last that is not
    empty, as LJSpeech's normalised one), ``name<TAB>text`` or ``name text``. UserError with the line's number.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--transcripts {path}: not a readable UTF-8 text file ({error})") from None
    texts: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, *columns = re.split(r"\||\t", line) if re.search(r"\||\t", line) else line.split(None, 1)
        name, text = _stem(name.strip()), next((c.strip() for c in reversed(columns) if c.strip()), "")
        if not text:
            raise UserError(f"--transcripts {path}:{number}: want a file's name and what is said in it, name|text")
        if texts.setdefault(name, text) != text:
            raise UserError(f"--transcripts {path}:{number}: {name!r} comes twice with different texts; keep one")
    return texts


def _stem(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in audio.FORMATS else path.name


class Cutter:
    """Cuts recordings, at a model's rate, into pieces. Its ``aligner`` finds where the words of a transcript are."""

    def __init__(self, aligner: Aligner, symbols: SymbolTable, rate: int):
        self.aligner, self.symbols, self.rate, self.phonemizer = aligner, symbols, rate, Phonemizer(symbols)

    def pieces(self, recording: Path, text: str = "") -> Iterator[Piece]:
        """UserError where the recording cannot be read, or cannot be what ``text`` says."""
        wav, _ = audio.read(recording, self.rate, max_seconds=None)
        seconds = len(wav) / self.rate
        if text and seconds > LONGEST:
            if seconds > MOST_SECONDS:
                raise UserError(
                    f"{recording.name} lasts {seconds / 60:.0f} minutes, too long for a transcript of the whole "
                    f"({MOST_SECONDS / 60:.0f} at most); cut it, or leave its transcript out"
                )
            cuts = self.cuts_in_text(wav, normalize(text))
        elif seconds > LONGEST:
            cuts = [(begin, end, "") for begin, end in cuts_in_sound(wav, self.rate)]
        else:
            cuts = [(0.0, seconds, text)]
        for begin, end, words in cuts:
            yield Piece(recording, begin, end, wav[round(begin * self.rate) : round(end * self.rate)], words)

    def align(self, wav: np.ndarray, text: str) -> tuple[list[str], np.ndarray, float]:
        """Phones of a normalised text, the seconds at which they begin in ``wav`` (T,), and how well they fit."""
        phones = self.phonemizer(text)
        heard = audio.resample(wav, self.rate, self.aligner.config.sample_rate)
        return phones, *self.aligner.align(torch.from_numpy(heard), self.symbols.ids(phones))

    def fit(self, piece: Piece) -> float:
        """How well a piece fits its text: a mean log posterior of phones. UserError where it is too short for it."""
        wav = audio.condition_reference(piece.wav, self.rate)
        return self.align(wav, normalize(piece.text))[2]

    def cuts_in_text(self, wav: np.ndarray, text: str) -> list[tuple[float, float, str]]:
        """(begin, end, words) of stretches between words at which the speaker pauses."""
        phones, onsets, _ = self.align(wav, text)
        spoken = phone_intervals(phones, onsets.tolist(), len(wav) / self.rate)
        words = word_intervals(spoken, SymbolTable.SEPARATORS, _with_marks(self.phonemizer, text))
        gaps = [(a.end, b.begin) for a, b in zip(words, words[1:])]
        edges = [(0.0, words[0].begin), *gaps, (words[-1].end, len(wav) / self.rate)]
        cuts = _choose([amid(*edge) for edge in edges], [i for i, (a, b) in enumerate(edges) if b - a >= PAUSE])
        places = [amid(*edge) for edge in edges]
        return [(places[a], places[b], " ".join(w.label for w in words[a:b])) for a, b in cuts]


def _with_marks(phonemizer: Phonemizer, text: str) -> list[str]:
    """The words of a text that are spoken, each with the pause mark behind it."""
    said = iter(phonemizer(text)[1:])
    words = []
    for word, phones in phonemizer.words(text):
        mark = [next(said) for _ in range(len(phones) + 1)][-1]
        words.append(word + ("" if mark == "_" else mark))
    return words


def cuts_in_sound(wav: np.ndarray, rate: int) -> list[tuple[float, float]]:
    """(begin, end) of stretches of a recording (T,) between silences."""
    quiet = quiet_places(audio.frame_levels(wav, rate))
    edges = np.flatnonzero(np.diff(np.r_[False, quiet, False].astype(np.int8))) * LEVEL_SECONDS
    runs = [(a, b) for a, b in zip(edges[::2], edges[1::2]) if b - a >= PAUSE]
    places = [0.0, *(amid(a, b) for a, b in runs), len(wav) / rate]
    return [(places[a], places[b]) for a, b in _choose(places, list(range(len(places))))]


def amid(begin: float, end: float) -> float:
    return (begin + end) / 2


def _choose(places: list[float], pauses: list[int]) -> list[tuple[int, int]]:
    """Pairs of indices of ``places`` (seconds): from pause to pause, WANTED to LONGEST apart where that can be. What
    holds no pause in time is dropped, since it cannot be cut.
    """
    cuts, first = [], 0
    stops = sorted({0, *pauses, len(places) - 1})
    for here, nxt in zip(stops[1:], [*stops[2:], None]):
        length = places[here] - places[first]
        goes_on = nxt is not None and places[nxt] - places[first] <= LONGEST
        if goes_on and length < WANTED:
            continue
        if length <= LONGEST:
            cuts.append((first, here))
        first = here
    return cuts
