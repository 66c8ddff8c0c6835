"""Sounds and the command, as the tests use them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> None:
    """Graphs that tests make, here and in processes of their own, stay out of the user's cache."""
    os.environ["LATENT_TTS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["LATENT_TTS_ENGINE"] = "torch"  # where a test does not ask for another: 8 bits keep no law to 1e-3


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The model that the package ships."""
    from latent_tts.model_files import SHIPPED

    return SHIPPED


@pytest.fixture(scope="session")
def reference(model_folder: Path) -> Path:
    """The recording that the package ships."""
    return model_folder / "reference.flac"


@pytest.fixture
def syllables() -> Callable[..., np.ndarray]:
    """Something with the envelope of speech: ``syllables(seconds, rate, level)`` is (T,) float32."""

    def make(seconds: float = 3.0, rate: int = 16000, level: float = 0.1) -> np.ndarray:
        time = np.arange(round(seconds * rate)) / rate
        pitch = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 12))
        return (level * pitch * np.clip(np.sin(2 * np.pi * 2 * time), 0, 1)).astype(np.float32)

    return make


@pytest.fixture
def sound_file(tmp_path: Path) -> Callable[..., Path]:
    """``sound_file(name, samples, rate, ...)`` writes samples (T,) or (T, C) and gives the path."""

    def write(name: str, samples: np.ndarray, rate: int = 16000, **options: str) -> Path:
        soundfile.write(tmp_path / name, samples, rate, **options)
        return tmp_path / name

    return write


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """The real command in a process of its own, in an empty folder: ``run("Hello.", "-o", "x.wav")``."""

    def command(*arguments: object, stdin: bytes = b"", code: str = "") -> subprocess.CompletedProcess:
        start = ["-c", code] if code else ["-m", "latent_tts"]
        return subprocess.run(
            [sys.executable, *start, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=300,
        )

    return command


@pytest.fixture
def local_of(monkeypatch) -> Iterator[Callable[[str], Callable[[str], ModuleType]]]:
    """``local_of(recipe)(name)`` is a module of egs/RECIPE/local, whose modules know each other by their bare names."""
    loaded: set[str] = set()

    def of(recipe: str) -> Callable[[str], ModuleType]:
        folder = ROOT / "egs" / recipe / "local"
        monkeypatch.syspath_prepend(str(folder))
        loaded.update(path.stem for path in folder.glob("*.py"))
        return importlib.import_module

    yield of
    for name in loaded:
        sys.modules.pop(name, None)


@pytest.fixture
def stage(monkeypatch) -> Callable[..., int]:
    """``stage("train", "codec", ...)`` runs a stage and gives its exit status."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    return lambda name, *options: importlib.import_module(name).main([str(option) for option in options])
