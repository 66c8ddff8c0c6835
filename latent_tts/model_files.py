"""What is in a model directory, without any weights being read: nothing here needs torch.

config.yaml             format, name, and for each part its kind and sizes
codec.safetensors       weights, latent mean and scale
lm.safetensors          weights of the language model
aligner.safetensors     weights of the aligner
phones.txt              the symbol table
reference.*             the voice that speaks when no reference is given
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.text.symbols import SymbolTable

FORMAT = 1
SHIPPED = Path(__file__).parent / "models" / "nano"
STEPPING = ("latent_lm", "prefix_lm")  # kinds of language models that extend LatentLM: those that run as graphs


def load_symbols(folder: Path) -> SymbolTable:
    return SymbolTable.read(present(Path(folder) / "phones.txt"))


def voice_hash(folder: Path) -> str:
    """What a voice must agree on with the model that speaks it: the codec's weights and the symbol table."""
    digest = hashlib.sha256()
    for name in ("codec.safetensors", "phones.txt"):
        digest.update(present(Path(folder) / name).read_bytes())
    return digest.hexdigest()[:16]


def own_reference(folder: Path) -> tuple[Path, str | None]:
    """The recording of the voice that speaks when no other is given, and what is said in it, if that is known."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model directory; give one with config.yaml and weights in it")
    found = sorted(path for path in folder.glob("reference.*") if path.suffix in audio.FORMATS)
    if not found:
        raise UserError(f"{folder} holds no reference recording of its own; give one: --reference FILE")
    text = found[0].with_suffix(".txt")
    return found[0], text.read_text("utf-8") if text.exists() else None


def read_config(folder: Path) -> dict:
    """What config.yaml says. UserError where that is no model directory's, or a newer version's."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model directory; --model takes a folder with config.yaml and weights")
    try:
        about = yaml.safe_load(present(folder / "config.yaml").read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{folder}/config.yaml: not readable as YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise UserError(f"{folder}/config.yaml: says no format; is this a model directory?")
    if about["format"] > FORMAT:
        raise UserError(
            f"{folder}: model format {about['format']} is newer than this version's {FORMAT}; upgrade latent_tts"
        )
    return about


def present(path: Path) -> Path:
    """The path of a file. UserError where it is missing."""
    if not path.is_file():
        raise UserError(f"{path.parent}: the model is incomplete, {path.name} is missing")
    return path
