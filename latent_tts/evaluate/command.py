"""``tts eval``: figures of a codec or of spoken trials, a folder of score.json, row.md and pictures for each; of trials
also report.html, to be opened in a browser.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latent_tts.errors import UserError
from latent_tts.evaluate.report import SYSTEMS, markdown_table, write_score
from latent_tts.files import write_whole

if TYPE_CHECKING:
    from latent_tts.evaluate.trials import Trial


def evaluate(argv: list[str], parser_class: type[argparse.ArgumentParser] = argparse.ArgumentParser) -> None:
    """Run ``codec ...`` or ``speech ...``: leaves score.json, written last, and prints the table that is row.md.

    Raises UserError for what is missing or cannot be used, packages among it, before anything long is begun.
    """
    options = parser(parser_class).parse_args(argv)
    options.run(options)


def parser(parser_class: type[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    top = parser_class(prog="tts eval", description="Measure a codec or spoken trials.")
    verbs = top.add_subparsers(required=True, metavar="codec|speech")
    about = "Score what a codec makes of recordings, beside the recordings and mel + Griffin-Lim at its rate."
    codec = verbs.add_parser("codec", help="what a codec makes of recordings", description=about)
    codec.set_defaults(run=_codec)
    add = codec.add_argument
    add("--model", type=Path, metavar="DIR", help="a model directory; default: the one that is shipped")
    what = codec.add_mutually_exclusive_group(required=True)
    what.add_argument("--trials", type=Path, metavar="TSV", help="a trial list, whose references are taken")
    what.add_argument("--data", type=Path, metavar="DIR", help="or a data directory")
    add("--count", type=_natural, default=30, metavar="N", help="how many of the data directory; default: 30")
    names = ", ".join(SYSTEMS)
    add("--systems", nargs="+", choices=SYSTEMS, default=tuple(SYSTEMS), metavar="NAME", help=f"of {names}")
    _add_shared(codec, drawn=3)
    about = "Score spoken trials: what a recogniser hears, similarity to the reference, DNSMOS; a page to look at."
    speech = verbs.add_parser("speech", help="the trials of a list, spoken", description=about)
    speech.set_defaults(run=_speech)
    add_speech(speech)
    return top


def add_speech(parser: argparse.ArgumentParser) -> None:
    """The options of ``speech``."""
    add = parser.add_argument
    add("--trials", type=Path, required=True, metavar="FILE", help="the trial list, or one of Seed-TTS, F5-TTS, VALL-E")
    add("--librispeech", type=Path, metavar="DIR", help="folder of the prompts of F5-TTS's list, such as test-clean")
    add("--wavs", type=Path, required=True, metavar="DIR", help="folder with <trial id>.wav")
    add("--name", metavar="NAME", help="of the row; default: of the folder")
    about = "similarity by this WavLMForXVector folder, too, such as one of wavlm-base-plus-sv"
    add("--similarity_model", "--similarity-model", type=Path, metavar="DIR", help=about)
    _add_shared(parser, drawn=50)


def _add_shared(parser: argparse.ArgumentParser, drawn: int) -> None:
    add = parser.add_argument
    about = "Whisper: a CTranslate2 folder (tools/get_whisper.sh), a Hugging Face one or its name; none: no WER"
    add("--whisper", type=Path, metavar="DIR", help=about)
    add("--out", type=Path, required=True, metavar="DIR", help="folder for score.json, row.md, pictures")
    add("--pictures", type=_natural, default=drawn, metavar="N", help=f"how many are drawn; default: {drawn}")


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _codec(options: argparse.Namespace) -> None:
    from latent_tts.data.kaldi import read_data_dir
    from latent_tts.evaluate.reconstruction import choose_recordings, references_of, score_codec
    from latent_tts.evaluate.trials import read_trials
    from latent_tts.model_dir import load_codec
    from latent_tts.model_files import SHIPPED

    _require(options)
    if options.trials:
        recordings = references_of(read_trials(options.trials))
    else:
        recordings = choose_recordings(read_data_dir(options.data), options.count)
    codec, folder = load_codec(options.model or SHIPPED), _folder(options.out)
    score = score_codec(
        codec, recordings, folder, options.whisper, options.pictures, _threads(), tuple(options.systems)
    )
    _leave(folder, score, {SYSTEMS[name]: figures for name, figures in score["systems"].items()})


def _speech(options: argparse.Namespace) -> None:
    trials = speech_trials(options)
    rows = measure_speech(options, trials)
    draw_speech(options, trials[: options.pictures])
    leave_speech(options, trials, rows)


def speech_trials(options: argparse.Namespace) -> list[Trial]:
    """The trials that the options of ``speech`` name, with a folder to leave their score in. UserError for what is
    missing."""
    from latent_tts.evaluate.hugging_face import require_folder
    from latent_tts.evaluate.trials import read_trials

    _require(options)
    if options.similarity_model:
        require_folder(options.similarity_model, "a WavLMForXVector model")
    trials = read_trials(options.trials, options.librispeech)
    _folder(options.out)
    return trials


def measure_speech(options: argparse.Namespace, trials: Sequence[Trial]) -> list[dict]:
    """A row of the score for each of ``trials``, which may be a share of all."""
    from latent_tts.evaluate.score import speech_rows

    return speech_rows(trials, options.wavs, options.whisper, _threads(), options.similarity_model)


def draw_speech(options: argparse.Namespace, trials: Sequence[Trial]) -> None:
    """A picture of the reference, of the speech and of the pitch of both, of each of ``trials``."""
    from latent_tts import audio
    from latent_tts.evaluate.pictures import Pitch, Spectrogram, draw

    for trial in trials:
        heard, spoken = audio.read(trial.reference), audio.read(options.wavs / f"{trial.id}.wav")
        panels = [Spectrogram(f"reference: {trial.speaker}", *heard), Spectrogram(f"speech: {trial.text}", *spoken)]
        panels.append(Pitch("pitch", {"reference": heard, "speech": spoken}))
        draw(options.out / "pictures" / f"{trial.id}.png", panels)


def leave_speech(options: argparse.Namespace, trials: Sequence[Trial], rows: list[dict]) -> None:
    """Leave report.html, row.md and score.json of all trials and their rows."""
    from latent_tts.evaluate.page import write_page
    from latent_tts.evaluate.score import figures_of

    score = figures_of(rows, options.wavs, options.whisper, options.similarity_model)
    name = options.name or options.wavs.name
    write_page(options.out / "report.html", name, score, trials, options.wavs, options.out / "pictures")
    _leave(options.out, score, {name: score})


def _require(options: argparse.Namespace) -> None:
    """Learn now whether packages or the recogniser are wanting."""
    from latent_tts.evaluate.score import require_packages
    from latent_tts.evaluate.wer import require_recogniser

    require_packages(options.whisper, *(["matplotlib"] if options.pictures else []))
    if options.whisper:
        require_recogniser(options.whisper)


def _folder(path: Path) -> Path:
    """The folder, made if it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be made a folder ({error.strerror}); give another --out") from error
    return path


def _threads() -> int:
    """As many for the recogniser as torch takes."""
    import torch

    return torch.get_num_threads()


def _leave(folder: Path, score: dict, rows: dict[str, dict]) -> None:
    """Print the table, and leave it and the score."""
    table = markdown_table(rows)
    write_whole(folder / "row.md", table.encode())
    write_score(folder / "score.json", score)
    sys.stdout.write(table)
