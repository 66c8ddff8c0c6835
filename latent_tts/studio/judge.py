"""Was a sentence spoken as it is written? A report on every take, from its sound, its pointer and an aligner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latent_tts import audio
from latent_tts.align.fit import Fit, fit
from latent_tts.errors import UserError
from latent_tts.lm.pointer import PointerWalk
from latent_tts.text.symbols import SymbolTable

if TYPE_CHECKING:
    from latent_tts.tts import TTS, Spoken

PHONE_SECONDS, MARK_SECONDS, EDGE_SECONDS = 0.085, 0.25, 0.25  # of read speech: a phone, a pause, both ends together
LENGTH_RATIOS = (0.5, 2.0)  # of the length so expected
QUIET_DBFS, LONGEST_QUIET = -50.0, 1.2  # a gap of so many seconds within a sentence is none of its pauses
CLIPPED = 0.001  # share of samples at full scale
LEAKED = 3  # phones heard before the sentence's own
# Of 240 takes of 60 validation sentences by nano's first release (12.1 % of words lost), those with a clarity under 0.4
# lost 18 %, up to 0.5 15 %, up to 0.6 11 %, above 4 %. The clarity of nano today says less: on the 50 trials of nano
# one take lost 7.3 %, up to three until one reached 0.5 lost 9.4 %. So only what is doubtful is said again.
UNCLEAR = CLEAR = 0.4  # from CLEAR on no better take is looked for
BROKEN = {"silent", "length", "silence", "clipping"}  # problems worse than any word lost


@dataclass(frozen=True)
class Report:
    """What a take is like. ``problems`` is empty where nothing speaks against it."""

    text: str
    seed: int
    seconds: float
    stop: str  # "end", or "held" where the pointer was pushed on after it had stayed with one phone to the limit
    length_ratio: float  # of its length to that which its phones make one expect
    silence: float  # seconds of the longest gap within it
    clipped: float  # share of samples at full scale
    leak: int  # phones heard before the first one: the end of the reference, most often
    clarity: float  # how well the sound fits its phones, 0 to 1
    missed: float  # share of phones that are not heard
    worst_word: str
    wer: float | None  # word error rate of a recogniser, None where none was asked
    heard: str | None  # what it heard
    problems: tuple[str, ...]

    @property
    def rank(self) -> tuple[float, ...]:
        """Greater is better: fewer words lost, then a better fit; a broken sound counts less than any."""
        return (-len(BROKEN.intersection(self.problems)), -(self.wer or 0.0), self.clarity)

    @property
    def good(self) -> bool:
        """Whether another take is hardly better."""
        return not self.problems and (self.wer == 0 or self.clarity >= CLEAR)

    def as_dict(self) -> dict:
        """For JSON, floats to three digits."""
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}


class Judge:
    """Reports on sentences that a model spoke; with ``whisper``, a folder, also on the words that are recognised."""

    def __init__(self, tts: TTS, whisper: str | Path | None = None, threads: int = 1):
        self.sample_rate, self.frame_rate = tts.sample_rate, tts.model.frame_rate
        self.words = tts.phonemizer.words
        self.hearing, self.symbols = tts.model.hearing, tts.symbols
        self.recogniser = None
        if whisper is not None:
            from latent_tts.evaluate.wer import load_recogniser

            self.recogniser = load_recogniser(whisper, threads)

    def __call__(self, spoken: Spoken, speed: float = 1.0) -> Report:
        """``speed`` is the one that was asked for."""
        wav = spoken.wav
        found = self._fit(spoken)
        wer, heard = self._read(spoken)
        facts = {
            "stop": "held" if longest_hold(spoken.begun) >= PointerWalk.longest else "end",
            "length_ratio": len(wav) / self.sample_rate / (expected_seconds(spoken.phones) / speed),
            "silence": longest_gap(wav, self.sample_rate),
            "clipped": float((np.abs(wav) >= 0.999).mean()),
            "leak": found.before,
            "clarity": found.clarity,
            "wer": wer,
        }
        words = self.words(spoken.text)
        return Report(
            spoken.text,
            spoken.seed,
            len(wav) / self.sample_rate,
            **facts,
            missed=found.missed,
            worst_word=words[int(np.argmin(found.words))][0],
            heard=heard,
            problems=problems(facts, silent=not (audio.frame_levels(wav, self.sample_rate) > QUIET_DBFS).any()),
        )

    def _fit(self, spoken: Spoken) -> Fit:
        wav = audio.resample(spoken.wav, self.sample_rate, self.hearing.sample_rate)
        return fit(self.hearing, wav, self.symbols.ids(spoken.phones))

    def _read(self, spoken: Spoken) -> tuple[float | None, str | None]:
        """Word error rate and what is heard, or None twice."""
        if self.recogniser is None:
            return None, None
        from latent_tts.evaluate.wer import RECOGNISER_RATE, compare, transcribe

        heard = transcribe(self.recogniser, audio.resample(spoken.wav, self.sample_rate, RECOGNISER_RATE))
        try:
            return compare(spoken.text, heard).wer, heard
        except UserError:  # no word that a recogniser would write, such as "Hmm."
            return None, heard


def problems(facts: dict, silent: bool) -> tuple[str, ...]:
    """The names of what is wrong, from the figures of a report."""
    wrong = {
        "silent": silent,
        "stop": facts["stop"] != "end",
        "length": not LENGTH_RATIOS[0] <= facts["length_ratio"] <= LENGTH_RATIOS[1],
        "silence": facts["silence"] > LONGEST_QUIET,
        "clipping": facts["clipped"] > CLIPPED,
        "leak": facts["leak"] >= LEAKED,
        "unclear": facts["wer"] is None and facts["clarity"] < UNCLEAR,
        "words": bool(facts["wer"]),
    }
    return tuple(name for name, true in wrong.items() if true)


def expected_seconds(phones: Sequence[str]) -> float:
    """How long a reader takes for a sentence's phones and the pauses between them."""
    spoken = sum(phone not in SymbolTable.SEPARATORS for phone in phones)
    marks = sum(phone in SymbolTable.SEPARATORS[1:] for phone in phones[:-1])
    return spoken * PHONE_SECONDS + marks * MARK_SECONDS + EDGE_SECONDS


def longest_gap(wav: np.ndarray, sample_rate: int) -> float:
    """Seconds of the longest silence between two sounds of a wav (T,), 0 where nothing sounds."""
    loud = np.flatnonzero(audio.frame_levels(wav, sample_rate) > QUIET_DBFS)
    return float(np.diff(loud).max() - 1) * 0.02 if len(loud) > 1 else 0.0


def longest_hold(begun: np.ndarray) -> int:
    """How many frames the pointer stood still at most, from the phones begun by each frame (N,); 0 if not known."""
    if (begun < 0).any():
        return 0
    edges = np.flatnonzero(np.r_[True, np.diff(begun) > 0, True])
    return int(np.diff(edges).max())
