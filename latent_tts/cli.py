"""The console command ``tts`` (also ``latent-tts`` and ``python -m latent_tts``): its verbs and its manners.

Sound and answers go to standard output, everything else to standard error. Exit status: 0 done, 1 doctor
found something broken or the disk is full, 2 unusable input (one line says what), 130 interrupted, 141 nobody
reads our output.
Only the standard library is imported up here, so that ``tts --help`` answers at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from latent_tts import __version__
from latent_tts.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from latent_tts.frames import Sampling, Voice
    from latent_tts.tts import TTS

MAX_TEXT_BYTES = 10 * 2**20
COMMENT = "AI-generated speech in a cloned voice, made with latent_tts"
SAMPLING = ("seed", "steps", "guidance", "temperature", "speed")

log = logging.getLogger("latent_tts")


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status; ``argv`` without the program's name."""
    argv = _hyphenated(sys.argv[1:] if argv is None else argv)
    verb = argv.pop(0) if argv and argv[0] in VERBS else "speak"
    try:
        return _flushed(VERBS[verb], argv)
    except UserError as error:
        print("tts: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tts: interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # of our output: that of our input is a UserError
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at exit
        if isinstance(error, BrokenPipeError):
            return 141
        print("tts: error:", error.strerror or error, file=sys.stderr)
        return 1


def speak(argv: list[str]) -> int:
    """``tts [speak] TEXT``: whatever can be wrong with the input is looked at before the model is loaded."""
    args = speak_parser().parse_intermixed_args(argv)
    _quieten(args.quiet)
    text = read_text(args)
    output = check_output(args)
    wav, rate, reference_text = read_reference(args)

    from latent_tts import audio

    sampling = choose_sampling(args)
    tts = load(args)
    voice = tts.clone(wav, text=reference_text, sample_rate=rate)
    chunks = spoken(tts, text, voice, sampling, args.quiet)
    if args.stream:
        audio.write_stream(sys.stdout.buffer, chunks, tts.sample_rate)
        return 0
    sound = join(chunks)
    audio.write(output, sound, tts.sample_rate, comment=COMMENT)
    log.info("wrote %s: %.1f s", "standard output" if output == "-" else output, len(sound) / tts.sample_rate)
    return 0


def doctor(argv: list[str]) -> int:
    """``tts doctor``: say what is installed and whether it works."""
    parser = _Parser(prog="tts doctor", description="Say what is installed and whether it works.")
    _add_model_options(parser)
    args = parser.parse_args(argv)
    _quieten(True)
    broken = 0
    for name, check in CHECKS.items():
        try:
            mark, found = "ok", check(args)
        except Exception as error:  # whatever it is, this command is there to report it
            mark, found, broken = "BROKEN", " ".join(f"{type(error).__name__}: {error}".split()), 1
        print(f"{name:<10} {mark:<6} {found}")
    return broken


def evaluate(argv: list[str]) -> int:
    """``tts eval``: figures of a codec or of spoken trials."""
    from latent_tts.evaluate import command

    _quieten(False)
    command.evaluate(argv, _Parser)
    return 0


def speak_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tts",
        usage="tts [speak] TEXT --reference RECORDING -o FILE [options]\n       tts doctor [--model DIR]\n"
        "       tts eval codec|speech ...",
        description="Say a text in the voice of a recording.",
        epilog="Text comes from TEXT, --text, --text-file or a pipe. `tts doctor` checks the installation, "
        "`tts eval --help` says how a codec and speech are measured. "
        "Clone only voices whose owners agreed to it.",
    )
    add = parser.add_argument
    add("words", nargs="*", metavar="TEXT", help="what to say; - reads standard input")
    add("-t", "--text", metavar="TEXT", help="the same as an option")
    add("--text-file", metavar="FILE", help="say what this UTF-8 file holds")
    add("--reference", metavar="FILE", help="a recording of the voice, 1 to 60 s; default: the model's own")
    add("--reference-text", metavar="TEXT", help="what is said in the reference, if you know it")
    add("-o", "--output", metavar="FILE", help="wav, flac, ogg, opus or mp3; - is standard output")
    add("--stream", action="store_true", help="write a wav to standard output while it is made")
    add("--seed", type=int, metavar="N", help="the same seed gives the same sound")
    add("--steps", type=int, metavar="N", help="steps of the diffusion solver: more is slower")
    add("--guidance", type=float, metavar="X", help="how strongly text and voice steer; 1 is none")
    add("--temperature", type=float, metavar="X", help="how varied the delivery is, from 0")
    add("--speed", type=float, metavar="X", help="0.25 to 4; 2 is twice as fast")
    add("--lexicon", metavar="FILE", help="your own pronunciations: a word and its phones on each line")
    _add_model_options(parser)
    add("--quiet", action="store_true", help="nothing but errors on standard error")
    add("--version", action="version", version=f"latent_tts {__version__}")
    return parser


def read_text(args: argparse.Namespace) -> str:
    """The text to say, from the one place that gives one."""
    words = " ".join(args.words) if args.words else None
    given = [value for value in (words, args.text) if value is not None]
    if len(given) + (args.text_file is not None) > 1:
        raise UserError("the text is given more than once; give one of TEXT, --text and --text-file")
    if args.text_file is not None:
        return _read_text_file(args.text_file)
    piped = sys.stdin is not None and not sys.stdin.isatty()
    if not given and not piped:
        raise UserError('nothing to say; give a text: tts "Hello there." -o hello.wav (options: tts --help)')
    if not given or given[0] == "-":
        return _decoded(sys.stdin.buffer.read(MAX_TEXT_BYTES + 1) if sys.stdin else b"", "standard input")
    return _decoded(given[0].encode("utf-8", "surrogateescape"), "the text")


def check_output(args: argparse.Namespace) -> str:
    """Where the sound goes, after making sure that it can."""
    from latent_tts import audio

    default = "-" if args.stream else "speech.wav"
    output = default if args.output is None else args.output
    if args.stream and output != "-":
        raise UserError(f"--stream writes to standard output, not to {output}; leave one of the two out")
    if output == "-" and (sys.stdout is None or sys.stdout.isatty()):
        raise UserError("sound is not written to a terminal; give --output FILE, or pipe it into a player")
    audio.check_output(output)
    return output


def read_reference(args: argparse.Namespace) -> tuple[np.ndarray, int, str | None]:
    """The recording to clone, its rate and what is said in it. Without one it is the model's own."""
    from latent_tts import audio

    path, text = args.reference, args.reference_text
    if path is None:
        path = _own_reference(args)
        said = path.with_suffix(".txt")
        text = _read_text_file(str(said)) if text is None and said.exists() else text
    return *audio.read_reference(path), text


def choose_sampling(args: argparse.Namespace) -> Sampling:
    """The options that were given, and the defaults of ``Sampling`` for the others."""
    from latent_tts.frames import Sampling

    return Sampling(**{name: value for name in SAMPLING if (value := getattr(args, name)) is not None})


def choose_device(name: str) -> str:
    """``auto`` is the best that is there. Raises UserError for one that is not."""
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, there in present.items() if there)
    if not present[name]:
        raise UserError(f"torch sees no {name} device here; leave --device out, or give --device cpu")
    return name


def load(args: argparse.Namespace) -> TTS:
    from latent_tts.tts import TTS

    return TTS.from_dir(args.model, device=choose_device(args.device), lexicon=args.lexicon, engine=args.engine)


def spoken(tts: TTS, text: str, voice: Voice, sampling: Sampling, quiet: bool) -> Iterator[Tensor]:
    """Chunks of sound (n,) as they are made, counted in seconds on a terminal's progress line."""
    from tqdm import tqdm

    layout = "speaking: {n:.1f} s [{elapsed}]"
    with tqdm(bar_format=layout, disable=True if quiet else None, leave=False) as progress:
        for chunk in tts.stream(text, voice, sampling):
            yield chunk
            progress.update(len(chunk) / tts.sample_rate)


def join(chunks: Iterator[Tensor]) -> Tensor:
    import torch

    return torch.cat([chunk.cpu() for chunk in chunks])


def _flushed(verb: Callable[[list[str]], int], argv: list[str]) -> int:
    """Run a verb, and learn now whether somebody read what it said."""
    try:
        return verb(argv)
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, like everything else here."""

    def __init__(self, **options: str):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help lists the options")


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="DIR", help="a model directory; default: the one that is shipped")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="cpu", help="default: cpu"
    )
    engines = "what computes: onnx is faster on a CPU and needs the extra 'fast'; default: onnx where it is installed"
    parser.add_argument("--engine", choices=("auto", "torch", "onnx"), default="auto", help=engines)


def _hyphenated(argv: list[str]) -> list[str]:
    """Options may be spelled with underscores: ``--text_file=x_y`` is ``--text-file=x_y``."""
    end = argv.index("--") if "--" in argv else len(argv)
    options = []
    for argument in argv[:end]:
        name, equals, value = argument.partition("=")
        options.append(name.replace("_", "-") + equals + value if name.startswith("--") else argument)
    return options + argv[end:]


def _quieten(quiet: bool) -> None:
    """Our own notes on standard error, a line each; others' warnings only if Python was asked for them."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("tts: %(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.ERROR if quiet else logging.INFO)


def _own_reference(args: argparse.Namespace) -> Path:
    """``reference.flac``, or of another format, beside the model's weights."""
    from latent_tts import audio, model_dir

    folder = Path(args.model or model_dir.SHIPPED)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model directory; give one with config.yaml and weights in it")
    found = sorted(path for path in folder.glob("reference.*") if path.suffix in audio.FORMATS)
    if not found:
        raise UserError(f"{folder} holds no reference recording of its own; give one: --reference FILE")
    return found[0]


def _read_text_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return _decoded(file.read(MAX_TEXT_BYTES + 1), path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a UTF-8 text file") from error


def _decoded(content: bytes, name: str) -> str:
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


def _about_package(args: argparse.Namespace) -> str:
    return f"{__version__} in {Path(__file__).parent}, Python {sys.version.split()[0]}"


def _about_command(args: argparse.Namespace) -> str:
    """Coqui's package installs a ``tts`` as well: which one does the shell find?"""
    import shutil

    found = shutil.which("tts")
    if found is None:
        return f"not on the PATH; use {Path(sys.executable).parent / 'latent-tts'} or python -m latent_tts"
    with open(found, "rb") as script:
        ours = b"latent_tts" in script.read(4096)
    return f"{found} is {'ours' if ours else 'another program; use latent-tts instead'}"


def _about_torch(args: argparse.Namespace) -> str:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = choose_device("auto")
    return f"{torch.__version__}, {torch.get_num_threads()} threads on {cores} cores, best device: {device}"


def _about_espeak(args: argparse.Namespace) -> str:
    from latent_tts.text.phonemes import Phonemizer

    return f'"hello" is {" ".join(Phonemizer()("hello"))}'


def _about_model(args: argparse.Namespace) -> str:
    from latent_tts import model_dir

    args.lexicon = None
    folder, tts = args.model or model_dir.SHIPPED, load(args)
    return f"{folder} loads, {tts.sample_rate} Hz, engine {tts.engine}, voices are tied to {tts.model_hash}"


VERBS: dict[str, Callable[[list[str]], int]] = {"speak": speak, "doctor": doctor, "eval": evaluate}
CHECKS: dict[str, Callable[[argparse.Namespace], str]] = {
    "latent_tts": _about_package,
    "command": _about_command,
    "torch": _about_torch,
    "espeak-ng": _about_espeak,
    "model": _about_model,
}
