"""What the README shows works, word for word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [content for name, content in BLOCKS if name == language]


@pytest.fixture
def folder(tmp_path, reference, monkeypatch) -> Path:
    """Where a reader would stand: with a recording, a story, and the installed command on the PATH."""
    from latent_tts import audio

    audio.write(tmp_path / "ref.wav", *audio.read(reference))
    (tmp_path / "story.txt").write_text("It was late. The rain had stopped.\n")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LATENT_TTS_VOICES", str(tmp_path / "voices"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", blocks("bash"), ids=lambda block: block.split("\n")[0][:40])
def test_commands(folder, block):
    assert shutil.which("tts") == str(Path(sys.executable).parent / "tts"), "the package is not installed"
    subprocess.run(["bash", "-euo", "pipefail", "-c", block], check=True, capture_output=True, timeout=300)
    for name in re.findall(r"(?:-o|>) (\w+\.\w+)", block):
        assert (folder / name).stat().st_size > 0


@pytest.mark.parametrize("block", blocks("python"), ids=["short", "long", "studio"])
def test_python(folder, block):
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    assert names["tts"].sample_rate >= 16000 and ("wav" in names or (folder / "two.wav").exists())


def test_what_is_only_shown_exists():
    """Commands that install or train are not run here; what they name is there."""
    shown = [line[2:].split("#")[0] for block in blocks("console") for line in block.splitlines()]
    assert shown
    for line in shown:
        program, *arguments = line.split()
        if program == "make":
            subprocess.run(["make", "-n", *arguments], cwd=ROOT, check=True, capture_output=True)
        elif program != "pip":
            assert os.access(ROOT / program, os.X_OK), program
    for extra in re.findall(r"\.\[([\w,]+)\]", README):
        setup = (ROOT / "setup.py").read_text("utf-8")
        assert all(f'"{name}": [' in setup for name in extra.split(","))


def test_the_tree_is_the_package():
    """Each file of the package has its line, each line its file."""
    (tree,) = (content for name, content in BLOCKS if content.startswith("latent_tts/"))
    drawn, path = set(), []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        path = [*path[:depth], line.split()[0]]
        drawn.add("".join(path))
    missing = [name for name in drawn if not (ROOT / name).exists()]
    assert not missing
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "latent_tts").rglob("[!_]*.py")}
    assert not files - drawn


def test_links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for link in re.findall(r"\]\((?!http)([^)]+)\)", (ROOT / name).read_text("utf-8")):
            assert (ROOT / link).exists(), f"{name}: {link}"
