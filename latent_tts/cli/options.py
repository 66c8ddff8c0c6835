"""What several verbs share: a parser that complains in one line, options, and how to read what they name."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from latent_tts.errors import UserError

if TYPE_CHECKING:
    from latent_tts.frames import Sampling, Voice
    from latent_tts.studio.takes import Booth
    from latent_tts.tts import TTS, Spoken

MAX_TEXT_BYTES = 10 * 2**20
COMMENT = "AI-generated speech in a cloned voice, made with latent_tts"
SAMPLING = ("seed", "steps", "guidance", "temperature", "speed", "top_p", "likeness")
KINDS = ("wav", "flac", "ogg", "opus", "mp3")

log = logging.getLogger("latent_tts")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; options may be spelled with underscores: ``--text_file`` is ``--text-file``."""

    def __init__(self, **options: object):
        super().__init__(**({"allow_abbrev": False} | options))

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help lists the options")

    def parse_known_args(self, args=None, namespace=None):
        return super().parse_known_args(hyphenated(sys.argv[1:] if args is None else args), namespace)


def hyphenated(argv: list[str]) -> list[str]:
    """``--text_file=x_y`` is ``--text-file=x_y``; what follows ``--`` is left alone."""
    end = argv.index("--") if "--" in argv else len(argv)
    options = []
    for argument in argv[:end]:
        name, equals, value = argument.partition("=")
        options.append(name.replace("_", "-") + equals + value if name.startswith("--") else argument)
    return options + argv[end:]


def add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="DIR", help="a model directory; default: the one that is shipped")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="cpu", help="default: cpu"
    )
    engines = "what computes: onnx is faster on a CPU and needs the extra 'fast'; default: onnx where it is installed"
    parser.add_argument("--engine", choices=("auto", "torch", "onnx"), default="auto", help=engines)


def add_voice_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--reference", metavar="FILE", help="a recording of the voice, 1 to 60 s; default: the model's own")
    add("--reference-text", metavar="TEXT", help="what is said in the reference, if you know it")
    add("--voice", metavar="NAME", help="a voice saved with tts voice make, or its file")
    add_rehearsal_option(parser)
    add_store_option(parser)


def add_rehearsal_option(parser: argparse.ArgumentParser) -> None:
    rehearse = "have the voice rehearse first: nearer to its reference, a little less clean"
    parser.add_argument("--rehearse", action="store_true", help=rehearse)


def add_store_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--voices", metavar="DIR", help="the folder of saved voices; default: $LATENT_TTS_VOICES or your own"
    )


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--seed", type=int, metavar="N", help="the same seed gives the same sound")
    add("--steps", type=int, metavar="N", help="steps of the diffusion solver: more is slower")
    add("--guidance", type=float, metavar="X", help="how strongly text and voice steer; 1 is none")
    add("--temperature", type=float, metavar="X", help="how varied the delivery is, from 0")
    add("--top-p", type=float, metavar="X", help="of a model of codes: what share of the likeliest it draws from, to 1")
    add("--speed", type=float, metavar="X", help="0.25 to 4; 2 is twice as fast")
    add("--likeness", type=float, metavar="X", help="how far a drifting voice is taken back to the reference, 0 to 1")
    add("--lexicon", metavar="FILE", help="your own pronunciations: a word and its phones on each line")


def add_check_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--takes", type=int, default=3, metavar="N", help="say a sentence that came out badly up to N times; default: 3"
    )
    add(
        "--verify",
        choices=("phones", "asr", "none"),
        default="phones",
        help="how takes are judged: by the model's aligner, by a recogniser too, or not at all; default: phones",
    )
    add("--whisper", metavar="DIR", help="the recogniser of --verify asr (see tools/get_whisper.sh)")


def choose_sampling(args: argparse.Namespace) -> Sampling:
    """The options that were given, and the defaults of ``Sampling`` for the others."""
    from latent_tts.frames import Sampling

    return Sampling(**{name: value for name in SAMPLING if (value := getattr(args, name)) is not None})


def choose_device(name: str) -> str:
    """``auto`` is the best that is there. Raises UserError for one that is not."""
    if name == "cpu":
        return name
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, there in present.items() if there)
    if not present[name]:
        raise UserError(f"torch sees no {name} device here; leave --device out, or give --device cpu")
    return name


def load(args: argparse.Namespace) -> TTS:
    from latent_tts.tts import TTS

    lexicon = getattr(args, "lexicon", None)
    return TTS.from_dir(args.model, device=choose_device(args.device), lexicon=lexicon, engine=args.engine)


def check_takes(args: argparse.Namespace) -> None:
    """UserError for options that contradict each other, before anything long is begun."""
    if args.verify == "asr" and not args.whisper:
        raise UserError("--verify asr needs a recogniser: --whisper DIR (tools/get_whisper.sh fetches one)")
    if args.whisper:
        if args.verify != "asr":
            raise UserError("--whisper is the recogniser of --verify asr; give both or neither")
        from latent_tts.evaluate.score import require_packages
        from latent_tts.evaluate.wer import require_recogniser

        require_packages(args.whisper)
        require_recogniser(args.whisper)


def booth_of(args: argparse.Namespace, tts: TTS, heard: Callable[[Spoken], object] = lambda spoken: None) -> Booth:
    """Where sentences are spoken and judged, as ``--takes`` and ``--verify`` say; ``heard`` is told of every take."""
    from latent_tts.studio.judge import Judge
    from latent_tts.studio.takes import Booth

    if args.verify == "none":
        return Booth(tts, heard=heard)
    return Booth(tts, Judge(tts, args.whisper), args.takes, heard)


def reader_of_voice(args: argparse.Namespace) -> Callable[[TTS], Voice]:
    """Read the voice that was asked for, as far as that goes without the model; the rest of the way."""
    from latent_tts import audio, model_files
    from latent_tts.voices import VoiceStore, read_voice

    if args.voice is not None and args.reference is not None:
        raise UserError("--voice and --reference are two voices; give one of them")
    if args.voice is not None:
        voice = read_voice(args.voice, VoiceStore(args.voices))
        return lambda tts: fitting(tts, voice, args.rehearse)
    path, text = args.reference, args.reference_text
    if path is None:
        path, said = model_files.own_reference(args.model or model_files.SHIPPED)
        text = said if text is None else text
    wav, rate = audio.read_reference(path)
    return lambda tts: tts.clone(wav, text=text, sample_rate=rate, rehearse=args.rehearse)


def fitting(tts: TTS, voice: Voice, rehearse: bool) -> Voice:
    """The voice, rehearsed if it is to be. UserError where another model made it."""
    tts.prompt([], voice)
    return tts.rehearsed(voice) if rehearse else voice


def quieten(quiet: bool) -> None:
    """Our own notes on standard error, a line each; others' warnings only if Python was asked for them."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("tts: %(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.ERROR if quiet else logging.INFO)


def read_text_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return decoded(file.read(MAX_TEXT_BYTES + 1), path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a UTF-8 text file") from error


def decoded(content: bytes, name: str) -> str:
    if len(content) > MAX_TEXT_BYTES:
        raise UserError(f"{name} is longer than {MAX_TEXT_BYTES // 2**20} MB of text; give it in parts")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is not UTF-8 text; convert it first, for instance with iconv -t UTF-8"
        ) from error
    if not text.strip():
        raise UserError(f"{name} is empty; give at least one word to say")
    return text
