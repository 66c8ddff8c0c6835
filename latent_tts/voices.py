"""Saved voices: ``NAME.voice.safetensors`` files in one folder, asked for by name and never by path."""

from __future__ import annotations

import os
import re
from pathlib import Path

from latent_tts.errors import UserError
from latent_tts.frames import Voice

ENDING = ".voice.safetensors"
NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


def default_folder() -> Path:
    """``LATENT_TTS_VOICES``, or latent_tts/voices in the user's data folder (XDG)."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("LATENT_TTS_VOICES") or Path(data) / "latent_tts" / "voices")


class VoiceStore:
    """The voices of a folder, which need not exist before the first is saved."""

    def __init__(self, folder: str | Path | None = None):
        self.folder = default_folder() if folder is None else Path(folder)

    def list(self) -> list[str]:
        """Names, sorted."""
        return sorted(self._index())

    def load(self, name: str) -> Voice:
        """Raises UserError for a name that is not there."""
        return Voice.load(self._path(name)).renamed(name)

    def save(self, name: str, voice: Voice) -> None:
        """Write a voice under a name of letters, digits, ``-`` and ``_``; one of that name is replaced."""
        if not re.fullmatch(NAME, name):
            raise UserError(f"{name[:64]!r} is no name for a voice; use up to 64 letters, digits, - and _")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the folder {self.folder} ({error.strerror}); choose another") from error
        voice.renamed(name).save(self.folder / f"{name}{ENDING}")

    def remove(self, name: str) -> None:
        self._path(name).unlink()

    def _index(self) -> dict[str, Path]:
        found = {path.name.removesuffix(ENDING): path for path in self.folder.glob(f"*{ENDING}")}
        return {name: path for name, path in found.items() if re.fullmatch(NAME, name)}

    def _path(self, name: str) -> Path:
        try:
            return self._index()[name]
        except KeyError:
            raise UserError(f"there is no voice {name[:64]!r} in {self.folder}; these are: {self.list()}") from None
