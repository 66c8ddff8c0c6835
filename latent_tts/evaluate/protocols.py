"""Trials whose text a human has spoken, too: the protocols that LibriSpeech's test set is cloned by.

``prefix`` gives a speaker the first seconds of an utterance and has it say the rest; ``cross`` gives another utterance
of the same person and has it say the whole. Both are VALL-E's (Wang et al., "Neural codec language models are zero-shot
text to speech synthesizers", 2023), with utterances of 4 to 10 s; the prompt of ``cross`` is there cut to 3 s. Where
words end is known from alignments, so a prompt's text is exactly what is said in it. What the human said in place of
each trial's speech is kept beside the references: no system needs to be better than that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from latent_tts import audio
from latent_tts.align.intervals import Interval, phone_intervals, word_intervals
from latent_tts.data.audio_pack import AudioPack
from latent_tts.data.kaldi import Entry
from latent_tts.errors import UserError
from latent_tts.evaluate.trials import Trial
from latent_tts.text.normalize import normalize
from latent_tts.text.phonemes import Phonemizer
from latent_tts.text.symbols import WORD_SPACE, SymbolTable

LEAST_WORDS = 3  # that a trial says
SLACK = 0.5  # seconds that the end of a prompt may be away from where it is wanted
PROMPT = (3.0, 8.0)  # seconds of a cross-utterance prompt: at least, and no more than a voice is made of


@dataclass(frozen=True)
class Recording:
    """An utterance as its pack holds it, and its words with their pause marks and times, one behind the other."""

    entry: Entry
    pack: AudioPack
    words: tuple[Interval, ...]

    @property
    def seconds(self) -> float:
        return self.pack.spans[self.entry.utt][1] / self.pack.sample_rate

    def boundary(self, word: int) -> float:
        """The second between word number ``word`` and the one before, in the middle of the pause if there is one."""
        if word in (0, len(self.words)):
            return self.seconds if word else 0.0
        return (self.words[word - 1].end + self.words[word].begin) / 2

    def nearest(self, seconds: float) -> int:
        """The word, not the first, whose beginning is nearest to ``seconds``."""
        return min(range(1, len(self.words)), key=lambda word: abs(self.boundary(word) - seconds))

    def text(self, first: int, last: int) -> str:
        """Words ``first`` to ``last``, the last one not among them."""
        return " ".join(word.label for word in self.words[first:last])

    def wav(self, first: int, last: int) -> np.ndarray:
        """Their sound (T,)."""
        begin, end = (round(self.boundary(word) * self.pack.sample_rate) for word in (first, last))
        return self.pack[self.entry.utt][begin:end]


def aligned_recordings(entries: Iterable[Entry], pack: AudioPack, alignments: Mapping[str, Mapping]) -> list[Recording]:
    """The recordings of a data directory that are in ``alignments`` (alignments.json of ``pack``), by their ids.

    UserError where an alignment is of another text.
    """
    phonemizer, recordings = Phonemizer(), []
    for entry in sorted(entries, key=lambda e: e.utt):
        if entry.utt in alignments:
            found, seconds = alignments[entry.utt], pack.spans[entry.utt][1] / pack.sample_rate
            said = phone_intervals(found["phones"], found["onsets"], seconds)
            spoken = [word for word, _ in phonemizer.words(normalize(entry.text))]
            try:
                words = word_intervals(said, SymbolTable.SEPARATORS, marked(spoken, found["phones"]))
            except ValueError:
                raise UserError(f"{entry.utt}: {pack.folder} has alignments of another text; align it again") from None
            recordings.append(Recording(entry, pack, tuple(words)))
    return recordings


def marked(words: Sequence[str], phones: Sequence[str]) -> list[str]:
    """Words, each with the pause mark that follows it in a sentence's phones."""
    after = [phone for phone in phones if phone in SymbolTable.SEPARATORS][1:]
    marks = ["" if mark == WORD_SPACE else f" {mark}" if mark == "—" else mark for mark in after]
    return [word + mark for word, mark in zip(words, marks, strict=True)]


def prefix_trials(
    recordings: Sequence[Recording],
    count: int,
    folder: str | Path,
    lengths: tuple[float, float] = (4.0, 10.0),
    seconds: float = 3.0,
    seed: int = 0,
) -> list[Trial]:
    """Up to ``count`` trials, speakers in turn: the first ``seconds`` of an utterance are the reference, to the nearest
    end of a word, and its other words are to be said.

    Utterances of ``lengths`` seconds whose words let themselves be parted there. ``folder/references`` gets the
    prompts, ``folder/recordings/<trial id>.wav`` the rest. UserError where there is none.
    """
    fit = [r for r in recordings if _parted(r, seconds)]
    chosen = _chosen(fit, count, lengths, seed, f"whose words let themselves be parted at {seconds:g} s")
    return [_continued(recording, recording.nearest(seconds), Path(folder)) for recording in chosen]


def cross_trials(
    recordings: Sequence[Recording],
    count: int,
    folder: str | Path,
    lengths: tuple[float, float] = (4.0, 10.0),
    seed: int = 0,
) -> list[Trial]:
    """Up to ``count`` trials, speakers in turn: the utterance before, of the same speaker, is the reference (for the
    first the one after), no more of it than PROMPT, to the end of a word. Of a speaker's only utterance the first half
    is the reference and the second is said.

    Utterances of ``lengths`` seconds; what is too short for a reference is passed over. Leaves files as
    ``prefix_trials`` does. UserError where there is none.
    """
    folder, trials = Path(folder), []
    fit = [r for r in recordings if _neighbour(r, recordings) or _parted(r, r.seconds / 2)]
    for recording in _chosen(fit, count, lengths, seed, "with another of the same speaker or two halves"):
        other = _neighbour(recording, recordings)
        if other is None:
            trials.append(_continued(recording, recording.nearest(recording.seconds / 2), folder))
            continue
        end = _end(other)
        reference = _written(folder / "references" / f"{other.entry.utt}.wav", other, 0, end)
        trials.append(_trial(recording, 0, reference, other.text(0, end), folder))
    return trials


def _chosen(
    fit: Sequence[Recording], count: int, lengths: tuple[float, float], seed: int, what: str
) -> list[Recording]:
    """``count`` of those of the wanted lengths, or as many as there are, each once: the first of every speaker, then
    the second, and so on."""
    queues: dict[str, list[Recording]] = {}
    for recording in fit:
        if lengths[0] <= recording.seconds <= lengths[1] and len(recording.words) >= LEAST_WORDS:
            queues.setdefault(recording.entry.spk, []).append(recording)
    if not queues:
        raise UserError(
            f"no aligned recording of {lengths[0]:g} to {lengths[1]:g} s {what}; give others, or other lengths"
        )
    speakers = sorted(queues)
    random.Random(seed).shuffle(speakers)
    turns = zip_longest(*(queues[speaker] for speaker in speakers))
    return [recording for turn in turns for recording in turn if recording][:count]


def _parted(recording: Recording, seconds: float) -> bool:
    """Whether a word begins near ``seconds``, with enough words from there on."""
    if len(recording.words) <= LEAST_WORDS:
        return False
    word = recording.nearest(seconds)
    return len(recording.words) - word >= LEAST_WORDS and abs(recording.boundary(word) - seconds) <= SLACK


def _neighbour(recording: Recording, recordings: Sequence[Recording]) -> Recording | None:
    """The nearest utterance before of the same speaker that is long enough for a reference, or else after."""
    same = [r for r in recordings if r.entry.spk == recording.entry.spk and r.boundary(_end(r)) >= PROMPT[0]]
    before = [r for r in same if r.entry.utt < recording.entry.utt]
    after = [r for r in same if r.entry.utt > recording.entry.utt]
    return before[-1] if before else after[0] if after else None


def _end(recording: Recording) -> int:
    """Behind the last word that is over by the longest time a reference may have."""
    ends = range(len(recording.words), 0, -1)
    return next((word for word in ends if recording.boundary(word) <= PROMPT[1]), 0)


def _continued(recording: Recording, word: int, folder: Path) -> Trial:
    """The words before ``word`` are the reference, the others are said."""
    reference = _written(folder / "references" / f"{recording.entry.utt}-begin.wav", recording, 0, word)
    return _trial(recording, word, reference, recording.text(0, word), folder)


def _trial(recording: Recording, word: int, reference: Path, reference_text: str, folder: Path) -> Trial:
    """What is said from ``word`` on, in the voice of ``reference``."""
    utt, spk = recording.entry.utt, recording.entry.spk
    _written(folder / "recordings" / f"{utt}.wav", recording, word, len(recording.words))
    return Trial(utt, recording.text(word, len(recording.words)), reference, spk, reference_text)


def _written(path: Path, recording: Recording, first: int, last: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, recording.wav(first, last), recording.pack.sample_rate)
    return path


PROTOCOLS: dict[str, Callable[..., list[Trial]]] = {"prefix": prefix_trials, "cross": cross_trials}
