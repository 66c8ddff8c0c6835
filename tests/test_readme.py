"""What the README and the pages of docs/ show works, word for word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from latent_tts import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"  # of the server that pages speak to


def blocks(language: str) -> list:
    """The blocks of a language, each named by its page and first line."""
    found = [(page.stem, *block) for page in PAGES for block in FENCE.findall(page.read_text("utf-8"))]
    named = [(f"{page}: {block.splitlines()[0][:40]}", block) for page, name, block in found if name == language]
    return [pytest.param(block, id=name) for name, block in named]


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


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[str]:
    """The address of `tts serve`."""
    pytest.importorskip("fastapi")
    options = ["serve", "--no-page", "--port", "0", "--voices", str(tmp_path_factory.mktemp("voices"))]
    command = [sys.executable, "-m", "latent_tts", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    yield re.search(r"http://[\d.:]+", process.stderr.readline())[0]
    process.terminate()
    process.communicate(timeout=60)


def runnable(block: str, request: pytest.FixtureRequest) -> str:
    """The block, with the address of a server that is there where it asks one."""
    return block.replace(ADDRESS, request.getfixturevalue("server")) if ADDRESS in block else block


@pytest.mark.parametrize("block", blocks("bash"))
def test_commands(folder, block, request):
    assert shutil.which("tts") == str(Path(sys.executable).parent / "tts"), "the package is not installed"
    if "curl" in block and not shutil.which("curl"):
        pytest.skip("needs curl")
    command = ["bash", "-euo", "pipefail", "-c", runnable(block, request)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    for name in re.findall(r"(?:-o|>) (\w+\.\w+)", block):
        assert (folder / name).stat().st_size > 0


@pytest.mark.parametrize("block", blocks("python"))
def test_python(folder, block, request):
    names: dict = {}
    exec(compile(runnable(block, request), "README.md", "exec"), names)
    assert "tts" not in names or names["tts"].sample_rate >= 16000
    assert "wav" not in names or np.abs(names["wav"]).max() > 0.01
    for name in re.findall(r'(?:write|save|write_to_file)\("(\w+\.[\w.]+)"', block):
        assert (folder / name).stat().st_size > 0


def test_what_is_only_shown_exists():
    """Commands that install or train are not run here; what they name is there."""
    shown = [line[2:].split("#")[0] for block in blocks("console") for line in block.values[0].splitlines()]
    assert shown
    for line in shown:
        program, *arguments = line.split()
        if program == "make":
            subprocess.run(["make", "-n", *arguments], cwd=ROOT, check=True, capture_output=True)
        elif program == "tts":
            assert arguments[0] in cli.VERBS, line
        elif program != "pip":
            assert os.access(ROOT / program, os.X_OK), program
    for extra in re.findall(r"\.\[([\w,]+)\]", "".join(page.read_text("utf-8") for page in PAGES)):
        setup = (ROOT / "setup.py").read_text("utf-8")
        assert all(f'"{name}": [' in setup for name in extra.split(","))


def test_the_tree_is_the_package():
    """Each file of the package has its line, each line its file."""
    (tree,) = (content for _, content in FENCE.findall(README) if content.startswith("latent_tts/"))
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
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_page_is_in_the_site():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert all(f": {page.name}\n" in navigation for page in PAGES[1:])


def test_the_site_is_built(tmp_path):
    """Strictly: a link or a name of the reference that leads nowhere is an error."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300, env=environment)
    reference = (tmp_path / "reference.html").read_text("utf-8")
    for name in ("tts.TTS.speak_batch", "frames.Sampling", "scheduler.Scheduler.speak"):
        assert f'id="latent_tts.{name}"' in reference
