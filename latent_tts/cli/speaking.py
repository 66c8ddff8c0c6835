"""``tts speak`` and ``tts stream``: a text in a voice, whole and checked, or while it is made."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from latent_tts import __version__
from latent_tts.cli.options import (
    COMMENT,
    KINDS,
    MAX_TEXT_BYTES,
    Parser,
    add_check_options,
    add_model_options,
    add_sampling_options,
    add_voice_options,
    booth_of,
    check_takes,
    choose_sampling,
    decoded,
    fitting,
    load,
    log,
    quieten,
    read_text_file,
    reader_of_voice,
)
from latent_tts.errors import UserError
from latent_tts.files import write_json

if TYPE_CHECKING:
    import numpy as np
    from tqdm import tqdm

    from latent_tts.frames import Voice
    from latent_tts.studio.perform import Cast, Line, Performance
    from latent_tts.text.markup import Part
    from latent_tts.tts import TTS


def speak(argv: list[str]) -> int:
    """``tts [speak] TEXT``: whatever can be wrong with the input is looked at before the model is loaded."""
    args = speak_parser().parse_intermixed_args(argv)
    if args.stream:
        return _stream(args)
    quieten(args.quiet)
    parts, output = read_parts(args), check_output(args)
    check_takes(args)
    check_files(args)
    sampling, find_voice = choose_sampling(args), reader_of_voice(args)

    from latent_tts import audio, captions
    from latent_tts.studio.perform import script_of

    tts = load(args)
    script = script_of(tts, parts, cast_of(args, tts, find_voice(tts)), sampling)
    performance = performed(args, tts, script)
    kind = f".{args.format}" if args.format else ""
    audio.write(output, performance.wav, tts.sample_rate, comment=COMMENT, kind=kind)
    if args.captions:
        captions.write(args.captions, performance.words(tts))
    if args.report:
        write_report(args.report, performance, tts.sample_rate)
    _say_what_was_made(output, performance, tts.sample_rate)
    return 0


def stream(argv: list[str]) -> int:
    """``tts stream TEXT``: to standard output, or into a file, while it is made."""
    return _stream(stream_parser().parse_intermixed_args(argv))


def _stream(args: argparse.Namespace) -> int:
    quieten(args.quiet)
    parts, output = read_parts(args), check_stream(args)
    sampling, find_voice = choose_sampling(args), reader_of_voice(args)

    from latent_tts import audio
    from latent_tts.studio.perform import stream as performed_live

    tts = load(args)
    cast = cast_of(args, tts, find_voice(tts))
    chunks = counted(performed_live(tts, parts, cast, sampling), tts.sample_rate, args.quiet)
    if output == "-":
        audio.write_stream(sys.stdout.buffer, chunks, tts.sample_rate)
    else:
        audio.write_growing(output, chunks, tts.sample_rate)
    return 0


def speak_parser() -> argparse.ArgumentParser:
    from latent_tts.cli import VERBS

    parser = Parser(
        prog="tts",
        usage="tts [speak] TEXT [--reference RECORDING | --voice NAME] -o FILE [options]\n"
        f"       tts {'|'.join(VERBS)} ...",
        description="Say a text in the voice of a recording.",
        epilog="Text comes from TEXT, --text, --text-file or a pipe. `tts VERB --help` has the options of a verb; `tts "
        "doctor` checks the installation. Clone only voices whose owners agreed to it.",
    )
    add = parser.add_argument
    add_text_options(parser)
    add_voice_options(parser)
    add("-o", "--output", metavar="FILE", help="wav, flac, ogg, opus or mp3; - is standard output")
    add("--format", choices=KINDS, help="the format, where the name of the file does not say it")
    add("--stream", action="store_true", help="write a wav while it is made: the same as tts stream")
    add_sampling_options(parser)
    add_check_options(parser)
    add("--report", metavar="FILE", help="leave what every sentence is like, as JSON")
    add("--captions", metavar="FILE", help="leave when every word is said: .srt, .vtt or .json")
    add_model_options(parser)
    add("--quiet", action="store_true", help="nothing but errors on standard error")
    add("--version", action="version", version=f"latent_tts {__version__}")
    return parser


def stream_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tts stream", description="Say a text while it is made, as wav; takes are not compared.")
    add = parser.add_argument
    add_text_options(parser)
    add_voice_options(parser)
    add("-o", "--output", metavar="FILE", help="a wav file; default: standard output")
    add_sampling_options(parser)
    add_model_options(parser)
    add("--quiet", action="store_true", help="nothing but errors on standard error")
    return parser


def add_text_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("words", nargs="*", metavar="TEXT", help="what to say; - reads standard input")
    add("-t", "--text", metavar="TEXT", help="the same as an option")
    add("--text-file", metavar="FILE", help="say what this UTF-8 file holds")
    add(
        "--markup",
        choices=("auto", "marks", "ssml", "dialogue", "plain"),
        default="auto",
        help="what the text holds: [pause:0.5s] [rate:0.9] [voice:NAME], SSML, lines like `anna: Hello.`, or nothing "
        "but text; default: SSML where it begins so, else marks",
    )


def read_parts(args: argparse.Namespace) -> list[Part]:
    from latent_tts.studio.perform import read_parts

    return read_parts(read_text(args), args.markup)


def read_text(args: argparse.Namespace) -> str:
    """The text to say, from the one place that gives one."""
    words = " ".join(args.words) if args.words else None
    given = [value for value in (words, args.text) if value is not None]
    if len(given) + (args.text_file is not None) > 1:
        raise UserError("the text is given more than once; give one of TEXT, --text and --text-file")
    if args.text_file not in (None, "-"):
        return read_text_file(args.text_file)
    piped = sys.stdin is not None and not sys.stdin.isatty()
    if not given and not piped and args.text_file is None:
        raise UserError('nothing to say; give a text: tts "Hello there." -o hello.wav (options: tts --help)')
    if not given or given[0] == "-":
        return decoded(sys.stdin.buffer.read(MAX_TEXT_BYTES + 1) if sys.stdin else b"", "standard input")
    return decoded(given[0].encode("utf-8", "surrogateescape"), "the text")


def check_output(args: argparse.Namespace) -> str:
    """Where the sound goes, after making sure that it can."""
    from latent_tts import audio

    output = f"speech.{args.format or 'wav'}" if args.output is None else args.output
    _refuse_terminal(output)
    audio.check_output(output, f".{args.format}" if args.format else "")
    return output


def check_stream(args: argparse.Namespace) -> str:
    """The same for a stream, which is always wav."""
    from latent_tts import audio

    for name in ("report", "captions"):
        if getattr(args, name, None):
            raise UserError(f"--{name} is written of a whole sound; leave --stream out")
    if getattr(args, "format", None) not in (None, "wav"):
        raise UserError(f"a stream is wav, not {args.format}; leave --stream or --format out")
    output = "-" if args.output is None else args.output
    _refuse_terminal(output)
    audio.check_output(output)
    if output != "-" and not output.lower().endswith(".wav") and not output.startswith("/dev/"):
        raise UserError(f"a stream is wav, but {output} is not; end its name in .wav")
    return output


def check_files(args: argparse.Namespace) -> None:
    """UserError now for files that could not be written at the end."""
    from latent_tts import captions

    if args.captions:
        captions.check(args.captions)
    if args.report and not Path(args.report).parent.is_dir():
        raise UserError(f"the folder {Path(args.report).parent} does not exist; make it first")
    if args.report and args.verify == "none":
        raise UserError("--report tells what the checks found; leave --verify none out")


def cast_of(args: argparse.Namespace, tts: TTS, given: Voice) -> Cast:
    """The voices a text may name: those that are saved, and the one that was given for ""."""
    from latent_tts.voices import VoiceStore

    known: dict[str, Voice] = {"": given}

    def cast(name: str) -> Voice:
        if name not in known:
            known[name] = fitting(tts, VoiceStore(args.voices).load(name), args.rehearse)
        return known[name]

    return cast


def performed(args: argparse.Namespace, tts: TTS, script: list[Line]) -> Performance:
    """The performance; on a terminal the seconds that were spoken for it, further takes among them, are counted."""
    from latent_tts.studio.perform import perform

    with progress_line(args.quiet) as progress:
        heard = lambda spoken: progress.update(len(spoken.wav) / tts.sample_rate)  # noqa: E731
        return perform(booth_of(args, tts, heard), script)


def counted(chunks: Iterator[np.ndarray], rate: int, quiet: bool) -> Iterator[np.ndarray]:
    """Chunks (n,) as they come, counted in the same way."""
    with progress_line(quiet) as progress:
        for chunk in chunks:
            yield chunk
            progress.update(len(chunk) / rate)


def progress_line(quiet: bool) -> tqdm:
    from tqdm import tqdm

    return tqdm(bar_format="speaking: {n:.1f} s [{elapsed}]", disable=True if quiet else None, leave=False)


def write_report(path: str, performance: Performance, rate: int) -> None:
    """Leave a JSON file: how long the sound is, and every sentence's report with the second at which it begins."""
    sentences = [
        take.as_dict() | {"start": round(start, 3)} for take, start in zip(performance.takes, performance.starts)
    ]
    write_json(path, {"seconds": round(len(performance.wav) / rate, 3), "sentences": sentences})


def _say_what_was_made(output: str, performance: Performance, rate: int) -> None:
    doubtful = [take for take in performance.takes if take.report and take.report.problems]
    note = ""
    if doubtful:
        found = ", ".join(sorted({name for take in doubtful for name in take.report.problems}))
        note = f"; {len(doubtful)} of {len(performance.takes)} sentences doubtful ({found}), --report FILE says which"
    where = "standard output" if output == "-" else output
    log.info("wrote %s: %.1f s%s", where, len(performance.wav) / rate, note)


def _refuse_terminal(output: str) -> None:
    if output == "-" and (sys.stdout is None or sys.stdout.isatty()):
        raise UserError("sound is not written to a terminal; give --output FILE, or pipe it into a player")
