"""Saved voices: a folder of ``NAME.voice.safetensors``, and what to make of two of them.

A name is looked up among the files that are there; it never becomes a path before it has passed the whitelist.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from latent_tts.errors import UserError
from latent_tts.frames import Voice
from latent_tts.text.markup import NAME, voice_of

SUFFIX = ".voice.safetensors"
BLEND_FRAMES = 100  # of a blended voice, as many as a language model was trained to follow (8 s at 12.5 Hz)


class VoiceStore:
    """The voices of a folder, made when the first is saved; without ``folder`` the user's own (see ``home``)."""

    def __init__(self, folder: str | Path | None = None):
        self.folder = Path(folder) if folder is not None else home()

    def list(self) -> list[str]:
        """The names of all voices, in order."""
        return sorted(self._index())

    def load(self, name: str) -> Voice:
        """The voice of that name. UserError where there is none or its file is damaged."""
        return Voice.load(self._find(name)).renamed(name)

    def save(self, name: str, voice: Voice) -> Path:
        """Keep ``voice`` under ``name``, in place of one that has it; the file. UserError for an unfit name."""
        path = self.folder / f"{voice_of(name)}{SUFFIX}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"the voices' folder {self.folder} cannot be made ({error.strerror})") from None
        voice.renamed(name).save(path)
        return path

    def remove(self, name: str) -> None:
        """Delete the voice of that name. UserError where there is none."""
        path = self._find(name)
        try:
            path.unlink()
        except OSError as error:
            raise UserError(f"{path} cannot be removed ({error.strerror}); check its permissions") from None

    def _find(self, name: str) -> Path:
        found = self._index().get(voice_of(name))
        if found is None:
            known = ", ".join(self.list()[:20]) or "none yet"
            raise UserError(f"no voice {name!r} in {self.folder} (there: {known}); save one with: tts voice make")
        return found

    def _index(self) -> dict[str, Path]:
        """Name -> file, of the plain files in the folder whose names could have been saved."""
        try:
            files = [entry for entry in os.scandir(self.folder) if entry.is_file(follow_symlinks=False)]
        except OSError:
            return {}
        matches = ((re.fullmatch(f"({NAME}){re.escape(SUFFIX)}", entry.name), entry.path) for entry in files)
        return {match[1]: Path(path) for match, path in matches if match}


def read_voice(name: str, store: VoiceStore) -> Voice:
    """A voice by its name in ``store`` or, where ``name`` ends in SUFFIX, by its file: not for names from strangers."""
    return Voice.load(name) if name.endswith(SUFFIX) else store.load(name)


def home() -> Path:
    """``$LATENT_TTS_VOICES``, or ``latent_tts/voices`` where the XDG base directories say that data lives."""
    if own := os.environ.get("LATENT_TTS_VOICES"):
        return Path(own)
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share") / "latent_tts" / "voices"


def blend(one: Voice, other: Voice, weight: float = 0.5) -> Voice:
    """A voice between two: ``weight`` of it is ``other``, from 0 to 1.

    The model knows a voice from frames, of which its reference encoder takes mean and spread. So a blend is a prompt of
    both references, one behind the other, each as long as its share; ``other`` stands last where it has the larger
    one, since the frames right before the speech weigh most. Text is kept where both tell theirs; what has been
    rehearsed is not (``TTS.rehearsed`` does it again). With nano and two pairs of voices (Resemblyzer, cosines of 0.71
    and 0.76 to each other) the likeness to ``one`` falls from 0.95 and 0.98 at a weight of 0.25 to 0.83 and 0.76 at
    0.75; that to ``other`` rises from 0.79 and 0.77 to 0.91 and 0.98. UserError for voices of two models and a weight
    out of range.
    """
    if one.model != other.model or one.frames.shape[1:] != other.frames.shape[1:]:
        raise UserError(f"voices {one.name!r} and {other.name!r} are of different models; clone them with the same one")
    if not 0 <= weight <= 1:
        raise UserError(f"the weight is {weight}; choose a value from 0 to 1")
    shares = sorted([(1 - weight, one), (weight, other)], key=lambda share: share[0])
    total = min(BLEND_FRAMES, *(int(len(voice.frames) / share) for share, voice in shares if share > 0))
    first, last = (_beginning(voice, round(total * share)) for share, voice in shares)
    told = all(voice.phones or not len(voice.frames) for voice in (first, last))
    return Voice(
        np.concatenate([first.frames, last.frames]),
        (*first.phones, *last.phones) if told else (),
        (*first.starts, *(len(first.frames) + start for start in last.starts)) if told else (),
        one.model,
        text=" ".join(filter(None, (first.text, last.text))) if told else "",
        sample_rate=one.sample_rate,
        consent="; ".join(dict.fromkeys(filter(None, (one.consent, other.consent)))),
    )


def _beginning(voice: Voice, count: int) -> Voice:
    """The first ``count`` frames of a voice, its text where anything of it is left."""
    phones = sum(start < count for start in voice.starts)
    text = voice.text if phones else ""
    return Voice(voice.frames[:count], voice.phones[:phones], voice.starts[:phones], text=text)
