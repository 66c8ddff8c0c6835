"""Speaking by the onnx engine, in processes of their own: torch is never loaded, the first time neither."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_model

from latent_tts import audio

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
COMMAND = """
import sys
from latent_tts.cli import main
status = main(sys.argv[1:])
peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")] if sys.platform == "linux" else []
print(status, "torch" in sys.modules, *peak)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def ran(*argv: object) -> str:
    command = [sys.executable, "-c", COMMAND, *map(str, argv)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300).stdout


def test_the_command_never_loads_torch(folder, reference, tmp_path, monkeypatch):
    """With an empty cache, and with a warm one: the same sound, checked by the aligner and in a voice whose text is
    known. The peak of the memory is printed: pytest -s shows it."""
    monkeypatch.setenv("LATENT_TTS_CACHE", str(tmp_path / "cache"))
    options = ["--model", folder, "--engine", "onnx", "--reference", reference, "--reference-text", "Hello there."]
    for name in ("cold.wav", "warm.wav"):
        said = ran("Hello.", *options, "--steps", "2", "-o", tmp_path / name)
        assert said.startswith("0 False"), said
        print(name, "peak MiB:", *(int(kib) // 1024 for kib in re.findall(r"VmHWM:\s+(\d+)", said)))
    cold, warm = (audio.read(tmp_path / name)[0] for name in ("cold.wav", "warm.wav"))
    assert np.array_equal(cold, warm) and np.abs(warm).max() > 1e-4


def test_a_model_that_is_damaged_is_told_from_there(folder, reference, tmp_path, monkeypatch):
    """What the other process finds is an error of one line in this one."""
    monkeypatch.setenv("LATENT_TTS_CACHE", str(tmp_path / "cache"))
    broken = tiny_model(tmp_path / "broken")
    (broken / "lm.safetensors").write_bytes((broken / "lm.safetensors").read_bytes()[:-8])
    command = [sys.executable, "-m", "latent_tts", "Hello.", "--model", str(broken), "--engine", "onnx"]
    done = subprocess.run(
        [*command, "--reference", str(reference), "-o", str(tmp_path / "x.wav")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2 and "lm.safetensors: not a safetensors file" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "x.wav").exists()
