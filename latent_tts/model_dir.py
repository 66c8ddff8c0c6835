"""A model directory's parts as torch modules: load, save, refuse. The only place that spells the names of their kinds.

``model_files.py`` says what is in such a directory and knows what needs no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from latent_tts.align.aligner import Aligner, AlignerConfig
from latent_tts.codec.autoencoder import Codec
from latent_tts.codec.bottleneck import SigmaVAEConfig
from latent_tts.codec.residual_vq import RVQConfig
from latent_tts.errors import UserError
from latent_tts.files import write_whole
from latent_tts.frames import FrameFormat, FrameLM
from latent_tts.lm.aligned import AlignedLM, AlignedLMConfig
from latent_tts.lm.dit import DiTLM, DiTLMConfig
from latent_tts.lm.prefix import PrefixLM, PrefixLMConfig
from latent_tts.lm.transfusion import TransfusionLM, TransfusionLMConfig
from latent_tts.lm.valle import ValleLM, ValleLMConfig
from latent_tts.model_files import FORMAT, load_symbols, present, read_config
from latent_tts.text.symbols import SymbolTable

KINDS = {
    "codec": {"sigma_vae": (Codec, SigmaVAEConfig), "rvq": (Codec, RVQConfig)},
    "lm": {
        "latent_lm": (AlignedLM, AlignedLMConfig),
        "prefix_lm": (PrefixLM, PrefixLMConfig),
        "valle_lm": (ValleLM, ValleLMConfig),
        "transfusion_lm": (TransfusionLM, TransfusionLMConfig),
        "dit_lm": (DiTLM, DiTLMConfig),
    },
    "aligner": {"aligner": (Aligner, AlignerConfig)},
}


def load_codec(folder: Path) -> Codec:
    """The codec of a model directory, ready to use. UserError names what is missing or does not fit."""
    return _load_part(Path(folder), "codec")


def load_lm(folder: Path) -> FrameLM:
    """The language model of a model directory."""
    return _load_part(Path(folder), "lm")


def load_parts(folder: Path) -> tuple[Codec, FrameLM]:
    """Codec and language model. UserError where they do not fit each other or the symbol table."""
    folder = Path(folder)
    codec, lm, symbols = load_codec(folder), load_lm(folder), load_symbols(folder)
    check_frames(folder, codec, lm)
    if len(symbols) != lm.config.vocabulary:
        raise UserError(
            f"{folder}: phones.txt has {len(symbols)} symbols, lm wants {lm.config.vocabulary}; its parts are of "
            "different models"
        )
    return codec, lm


def load_aligner(folder: Path) -> tuple[Aligner, SymbolTable]:
    """The aligner of a model directory, and the symbols it knows."""
    folder = Path(folder)
    symbols = load_symbols(folder)
    sizes = _sizes(folder, read_config(folder), "aligner", AlignerConfig)
    aligner = _built(folder, "aligner", lambda: Aligner(symbols.symbols, sizes, SymbolTable.SEPARATORS))
    return load_weights(aligner, folder / "aligner.safetensors").eval().requires_grad_(False), symbols


def kind_of(part: str, module: nn.Module) -> str:
    """What a model directory calls the kind of a part. The kinds of one part differ in the class of their sizes."""
    return next(kind for kind, (_, sizes) in KINDS[part].items() if type(module.config) is sizes)


def check_frames(folder: Path, codec: Codec, lm: FrameLM) -> None:
    """UserError where the language model of ``folder`` speaks other frames than its codec decodes."""
    if codec.frame_format != lm.frame_format:
        raise UserError(
            f"{folder}: codec is {kind_of('codec', codec)} with frames of {codec.frame_format}, lm is "
            f"{kind_of('lm', lm)} with frames of {lm.frame_format}; its parts are of different models"
        )


def check_taught(folder: Path, held: FrameFormat, lm: FrameLM) -> None:
    """UserError where a language model is to learn from, or be measured on, a pack in ``folder`` of other frames,
    ``held``, than it speaks."""
    if held != lm.frame_format:
        raise UserError(
            f"{folder} holds frames of {held}, lm is {kind_of('lm', lm)} with frames of {lm.frame_format}; give the "
            "frames of another codec, or settings of an lm for these"
        )


def save_part(folder: Path, part: str, module: nn.Module) -> None:
    """Write one part of a model into ``folder``, its matrices as fp16, and then its kind and sizes into config.yaml.
    UserError where a file cannot be written."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    tensors = {k: v.half() if v.is_floating_point() and v.ndim > 1 else v for k, v in tensors.items()}
    write_whole(folder / f"{part}.safetensors", save(tensors))
    _describe(folder, {part: {"kind": kind_of(part, module), **dataclasses.asdict(module.config)}})


def adopt(source: Path, folder: Path) -> None:
    """Copy every part of the model directory ``source`` that ``folder`` lacks into it, byte for byte.

    A part's weights come last, since they are what says, here and in recipes, that it is there: where a call was killed
    the next one goes on. UserError where ``source`` is incomplete or ``folder`` cannot be written.
    """
    source, folder = Path(source), Path(folder)
    for part, settings in read_config(source).items():
        target = folder / f"{part}.safetensors"
        if part == "format" or target.exists():
            continue
        weights = present(source / target.name).read_bytes()
        _describe(folder, {part: settings})
        write_whole(target, weights)


def _describe(folder: Path, parts: dict) -> None:
    """Add parts to a directory's config.yaml."""
    path = folder / "config.yaml"
    about = yaml.safe_load(path.read_text()) if path.exists() else {"format": FORMAT}
    write_whole(path, yaml.safe_dump(about | parts, sort_keys=False).encode())


def _load_part(folder: Path, part: str) -> nn.Module:
    about = read_config(folder)
    kind = str(_settings(folder, about, part).get("kind"))
    if kind not in KINDS[part]:
        raise UserError(
            f"{folder}/config.yaml: {part} is of kind {kind!r}; this version knows {', '.join(KINDS[part])}"
        )
    build, sizes = KINDS[part][kind]
    module = _built(folder, part, lambda: build(_sizes(folder, about, part, sizes)))
    return load_weights(module, folder / f"{part}.safetensors").eval().requires_grad_(False)


def _settings(folder: Path, about: dict, part: str) -> dict:
    settings = about.get(part) or {}
    if not isinstance(settings, dict):
        raise UserError(f"{folder}/config.yaml: {part} is {settings!r}; it should list the part's kind and sizes")
    return settings


def _built(folder: Path, part: str, build: Callable[[], nn.Module]) -> nn.Module:
    try:
        return build()
    except UserError:
        raise
    except (TypeError, ValueError, ArithmeticError, RuntimeError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder}/config.yaml: no {part} can be built of these sizes ({reason})") from None


def _sizes(folder: Path, about: dict, part: str, build: type):
    sizes = {k: v for k, v in _settings(folder, about, part).items() if k != "kind"}
    try:
        return build(**sizes)
    except TypeError as error:
        known = ", ".join(field.name for field in dataclasses.fields(build))
        raise UserError(
            f"{folder}/config.yaml: {part}: {str(error).split('__init__() ')[-1]}; known are {known}"
        ) from None


def load_weights(module: nn.Module, path: Path) -> nn.Module:
    """Fill ``module`` from a safetensors file and give it back. UserError where the file does not fit it exactly."""
    try:
        tensors = load_file(present(path))
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a safetensors file ({error}); fetch the model again") from None
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    own = module.state_dict()
    for name in sorted(own.keys() ^ tensors.keys()):
        where = "missing from" if name in own else "not expected in"
        raise UserError(f"{path}: tensor {name} is {where} the file; the weights do not fit config.yaml")
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            want, have = tuple(own[name].shape), tuple(tensor.shape)
            raise UserError(
                f"{path}: tensor {name} is {have}, config.yaml wants {want}; the weights do not fit config.yaml"
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(f"{path}: tensor {name} holds values that are not finite; fetch the model again")
    module.load_state_dict(tensors)
    return module
