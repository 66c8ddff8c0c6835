"""``tts batch``: every row of a manifest into a file; killed and run again, it goes on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from latent_tts.cli.options import (
    COMMENT,
    KINDS,
    Parser,
    add_check_options,
    add_model_options,
    add_sampling_options,
    add_voice_options,
    check_takes,
    choose_device,
    choose_sampling,
    log,
    quieten,
)
from latent_tts.errors import UserError

if TYPE_CHECKING:
    from latent_tts.studio.batch import Job, Outcome


def batch(argv: list[str]) -> int:
    """Speak every row; 1 where one failed."""
    args = batch_parser().parse_args(argv)
    quieten(args.quiet)
    check_takes(args)

    from tqdm import tqdm

    from latent_tts.studio.batch import run
    from latent_tts.studio.manifests import read_manifest

    rows, job = read_manifest(args.manifest), job_of(args)
    with tqdm(total=len(rows), unit="row", disable=True if args.quiet else None, leave=False) as progress:
        outcome = run(rows, job, args.nj, progress.update)
    tell(outcome, job.out)
    return 1 if outcome.failed else 0


def batch_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="tts batch",
        description="Speak every row of a manifest into a file of a folder. What is done is not done again: killed at "
        "any moment and run again, the same command goes on.",
    )
    add = parser.add_argument
    add("manifest", metavar="MANIFEST", help=".jsonl, .tsv, a Seed-TTS .lst or a Kaldi directory")
    add("-o", "--output-dir", required=True, metavar="DIR", help="for <id>.wav and ledger.jsonl")
    add("--format", choices=KINDS, default="wav", help="of the files; default: wav")
    add("--nj", type=int, default=1, metavar="N", help="processes, each with a model of its own; default: 1")
    add("--rows", type=int, default=8, metavar="N", help="spoken together; default: 8")
    add("--markup", choices=("auto", "marks", "ssml", "dialogue", "plain"), default="auto", help="what texts hold")
    add_voice_options(parser)
    add_sampling_options(parser)
    add_check_options(parser)
    add_model_options(parser)
    add("--quiet", action="store_true", help="nothing but errors on standard error")
    return parser


def job_of(args: argparse.Namespace) -> Job:
    """How the rows are spoken, as the options say."""
    from latent_tts.model_files import SHIPPED, own_reference
    from latent_tts.studio.batch import Job

    if args.voice is not None and args.reference is not None:
        raise UserError("--voice and --reference are two voices; give one of them")
    reference, text = args.reference, args.reference_text
    if reference is None:
        reference, said = own_reference(args.model or SHIPPED)
        text = said if text is None else text
    return Job(
        out=Path(args.output_dir),
        reference=Path(reference),
        reference_text=text or "",
        voice=args.voice or "",
        rehearse=args.rehearse,
        sampling=choose_sampling(args),
        takes=args.takes,
        verify=args.verify != "none",
        whisper=Path(args.whisper) if args.whisper else None,
        markup=args.markup,
        kind=f".{args.format}",
        comment=COMMENT,
        rows=args.rows,
        model=Path(args.model) if args.model else SHIPPED,
        device=choose_device(args.device),
        lexicon=Path(args.lexicon) if args.lexicon else None,
        voices=Path(args.voices) if args.voices else None,
    )


def tell(outcome: Outcome, out: Path) -> None:
    """What became of the rows: a line, and one for each that failed, whatever --quiet says."""
    for name, error in outcome.failed.items():
        print(f"tts: failed: {name}: {' '.join(error.split())}", file=sys.stderr)
    counts = {
        "spoken": len(outcome.done),
        "done before": len(outcome.before),
        "failed": len(outcome.failed),
        "doubtful": len(outcome.doubtful),
    }
    log.info("%s: %s", out, ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing to do")
