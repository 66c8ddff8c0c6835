"""The import order of the house: a room knows only the floors below it, and speaking needs no extra."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "latent_tts"
FLOORS = {
    **dict.fromkeys(["__init__", "__main__", "cli", "recipes", "tools", "benchmarks"], 9),
    "server": 8,
    "demo": 7,
    **dict.fromkeys(["scheduler", "studio", "clinic"], 6),
    "tts": 5,
    **dict.fromkeys(["engine", "train", "evaluate"], 4),
    **dict.fromkeys(["model_dir", "data", "captions", "speaker"], 3),
    **dict.fromkeys(["codec", "lm", "align", "voices"], 2),
    **dict.fromkeys(["frames", "encoders", "model_files"], 1),
    **dict.fromkeys(["nn", "text", "audio", "memory"], 0),
    "files": -1,
    "errors": -2,
}
PUBLIC = {"TTS": "tts", "Voice": "frames", "Sampling": "frames", "__version__": "errors"}
RUN_TIME = set(
    "cli studio clinic tts engine voices captions model_dir model_files codec lm align frames nn text audio files "
    "errors".split()
)
NO_TORCH = set("cli server demo scheduler studio clinic tts voices frames captions encoders model_files audio".split())
NO_TORCH |= {"text", "files"}  # text becomes sound without it, where graphs compute
CORE = {"torch", "numpy", "soundfile", "safetensors", "yaml", "phonemizer", "espeakng_loader", "soxr", "tqdm"}
LATE_EXTRAS = {  # imported when such a codec is built or such an engine runs, not before
    "codec/residual_vq.py": {"vector_quantize_pytorch"},
    "engine/quantize.py": {"onnx"},
    **dict.fromkeys([f"engine/{name}.py" for name in ("by_graphs", "graphs", "passage", "threads")], {"onnxruntime"}),
}
HEAVY = {"librosa", "resemblyzer", "faster_whisper", "matplotlib", "gradio", "phonemizer", "transformers", "vocos"}
HEAVY |= {"av"}
PICKLES = {"pickle", "shelve", "dill", "joblib", "cloudpickle"}
OUTSIDE = ("recipes", "tools", "benchmarks")
FILES = [*PACKAGE.rglob("*.py"), *(path for name in OUTSIDE for path in (ROOT / name).glob("*.py"))]


def room(path: Path) -> str:
    """The room a file is in: the module or folder right under latent_tts, or one of OUTSIDE."""
    parts = path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else ROOT).parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every (dotted name that a file imports, whether that happens when the file itself is imported)."""
    tree = ast.parse(path.read_text("utf-8"))
    late = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    late += [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    within = {id(child) for node in late for child in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            package = node.module == "latent_tts"
            names = [f"{node.module}.{a.name}" for a in node.names] if package else [node.module]
        else:
            continue
        yield from ((name, id(node) not in within) for name in names)


def rooms(path: Path) -> set[str]:
    """The rooms of the package that a file imports from, at any time."""
    ours = (name.split(".") for name, _ in imports(path) if name.split(".")[0] == "latent_tts")
    return {PUBLIC.get(part, part) for part in (dotted[1] for dotted in ours if dotted[1:])}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_knows_only_the_floors_below(path):
    here = room(path)
    assert here in FLOORS, f"{path}: give this room a floor, here and in CONTRIBUTING.md"
    for there in rooms(path) - {here}:
        assert FLOORS[there] < FLOORS[here] or here == "__main__", f"{path} imports {there}"
    assert here != "nn" or rooms(path) <= {"nn"}, f"{path}: nn knows torch and itself"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_comes_from_outside(path):
    """Speaking needs the core alone, one file touches soundfile, nothing touches a pickle or egs."""
    outside = (
        {name.split(".")[0] for name, _ in imports(path)} - set(sys.stdlib_module_names) - {"latent_tts"}
    )
    at_once = {name.split(".")[0] for name, now in imports(path) if now} & outside
    if room(path) in RUN_TIME:
        late = LATE_EXTRAS.get(path.relative_to(PACKAGE).as_posix(), set()) - at_once
        assert outside <= CORE | late, f"{path}: {outside - CORE - late} would become a run-time dependency"
    assert "soundfile" not in outside or room(path) == "audio", (
        f"{path}: read and write with latent_tts.audio"
    )
    assert not outside & {"egs", "recipes", "tests", "benchmarks"}
    assert not {name for name, _ in imports(path)} & PICKLES, f"{path}: no pickles"
    at_home = {"gradio"} if room(path) == "demo" else set()  # a file that is itself imported late
    assert not at_once & HEAVY - at_home, f"{path}: import {at_once & HEAVY - at_home} in the function that needs it"
    assert "torch" not in at_once or room(path) not in NO_TORCH, f"{path}: the onnx engine speaks without torch"
    if room(path) in ("cli", "__init__", "__main__", "errors"):
        assert not at_once, f"{path}: makes `tts --help` slow"


def test_the_public_names_are_there():
    import latent_tts

    assert {"TTS", "Voice", "Sampling", "__version__"} == set(latent_tts.__all__) <= set(dir(latent_tts))
    assert all(getattr(latent_tts, name) for name in latent_tts.__all__)
    with pytest.raises(AttributeError):
        _ = latent_tts.nonsense
