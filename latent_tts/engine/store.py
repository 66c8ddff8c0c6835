"""Graphs on disk: made once from a model's weights, read back only if they are whole and of these weights."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from latent_tts.errors import UserError
from latent_tts.files import write_whole

PACKAGE = Path(__file__).parent.parent
KEPT = 48  # files in the cache; those unused for longest go


def cache_folder() -> Path:
    """``LATENT_TTS_CACHE``, or ``latent_tts`` in the user's cache folder."""
    own = os.environ.get("LATENT_TTS_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latent_tts"


class GraphStore:
    """Files of one cache folder for one set of weights.

    A file's name is a hash of all that its graph hangs on: the files it is made of, this package's code, and the
    versions of what traces and what runs it. The file begins with a hash of the rest.
    """

    def __init__(self, folder: Path, files: Iterable[Path]):
        self.folder, self.held = folder, {}
        digest = hashlib.sha256(_code().encode())
        for path in files:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        self.key = digest.hexdigest()[:24]

    def get(self, name: str, make: Callable[[], dict[str, bytes]]) -> bytes:
        """What the cache holds under ``name``. Where it holds nothing whole, ``make`` gives it, and may give more that
        will be asked for; all of it is kept, in memory where the cache cannot be written."""
        content = self.held.get(name) or _read(self._path(name))
        if content is not None:
            return content
        given = make()
        for other, content in given.items():
            try:
                self._keep(self._path(other), content)
            except (OSError, UserError):
                self.held[other] = content
        return given[name]

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}-{self.key}"

    def _keep(self, path: Path, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, hashlib.sha256(content).digest() + content)
        files = sorted(self.folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[KEPT:]:
            file.unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    """A file's content without its hash; None where there is no such file or the hash is wrong."""
    try:
        whole = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    return whole[32:] if hashlib.sha256(whole[32:]).digest() == whole[:32] else None


@functools.cache
def _code() -> str:
    """A hash of the package's code and the versions of torch and ONNX Runtime."""
    digest = hashlib.sha256()
    for room in ("engine", "nn", "codec", "lm", "align"):
        for path in sorted((PACKAGE / room).glob("*.py")):
            digest.update(path.read_bytes())
    for package in ("torch", "onnxruntime"):
        digest.update(metadata.version(package).encode())
    return digest.hexdigest()
