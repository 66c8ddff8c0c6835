"""Voice-cloning text to speech: ``TTS``, ``Voice`` and ``Sampling`` are the whole public API.

Each name is loaded when it is first asked for, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from latent_tts.frames import Sampling, Voice
    from latent_tts.tts import TTS

__version__ = "0.1.0"
__all__ = ["TTS", "Sampling", "Voice", "__version__"]

_HOMES = {"TTS": "latent_tts.tts", "Voice": "latent_tts.frames", "Sampling": "latent_tts.frames"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
