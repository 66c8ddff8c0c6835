"""Machine transcripts: what Whisper hears in the recordings or segments of a Kaldi directory, for prepare.py.

Every line is kept as soon as it is heard, so a run that was broken off goes on. What cannot be read is listed and left
out, and more than 5 % of it is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from stage import Part, add_parts, in_parts, progress, stage

from latent_tts import audio
from latent_tts.audio import Span
from latent_tts.data.kaldi import places, read_table, sound_path
from latent_tts.errors import UserError
from latent_tts.evaluate.wer import RECOGNISER_RATE, load_recogniser, require_recogniser, transcribe_scored
from latent_tts.files import write_whole

HEADER = "utt\tavg_logprob\ttext\n"


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, help="wav.scp, and segments where it is cut")
    parser.add_argument("--out", type=Path, required=True, help="the table, TSV: utt, avg_logprob, text")
    parser.add_argument("--whisper", type=Path, required=True, help="CTranslate2 folder (tools/get_whisper.sh)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max_bad", type=float, default=0.05, help="share of bad recordings that is borne")
    add_parts(parser)
    options = parser.parse_args(argv)
    wavs = read_table(options.data_dir / "wav.scp")
    sounds = {
        utt: (sound_path(options.data_dir, wavs[recording]), span)
        for utt, (recording, span) in sorted(places(options.data_dir, wavs).items())
    }
    if not sounds:
        raise UserError(f"{options.data_dir}/wav.scp names no recording; was the corpus found?")
    require_recogniser(options.whisper)

    def do(part: Part) -> None:
        diary = part.of(options.out).with_name(f".{part.of(options.out).name}.begun")
        hear({utt: sounds[utt] for utt in part.share(sounds)}, diary, options)
        leave(lines_of(diary), part)
        diary.unlink()

    def join(parts: list[Part]) -> None:
        leave({utt: line for part in parts for utt, line in lines_of(part.of(options.out)).items()}, Part())

    def leave(lines: dict[str, str], part: Part) -> None:
        if not part.suffix:
            check(sounds, lines, options.max_bad)
        write_whole(part.of(options.out), (HEADER + "".join(lines[utt] for utt in sorted(lines))).encode())

    in_parts(options, options.out, do, join)


def hear(sounds: Mapping[str, tuple[Path, Span | None]], diary: Path, options: argparse.Namespace) -> None:
    """Append a line to ``diary`` for every sound that it has none of."""
    diary.parent.mkdir(parents=True, exist_ok=True)
    known = lines_of(diary)
    with open(diary, "a", encoding="utf-8") as out:
        out.truncate(len((HEADER if known else "").encode()) + sum(len(line.encode()) for line in known.values()))
        if not known:
            out.write(HEADER)
        recogniser = load_recogniser(options.whisper, options.threads)
        for utt in progress([utt for utt in sounds if utt not in known], desc="transcribe", unit="utt"):
            path, span = sounds[utt]
            try:
                wav, _ = audio.read(path, RECOGNISER_RATE, span=span)
            except UserError as error:
                print(f"bad {utt}: {error}", file=sys.stderr)
                continue
            text, logprob = transcribe_scored(recogniser, wav)
            out.write(f"{utt}\t{logprob:.3f}\t{' '.join(text.split())}\n")
            out.flush()


def lines_of(table: Path) -> dict[str, str]:
    """utt -> its line, of those that were written to their end."""
    if not table.exists():
        return {}
    lines = table.read_text("utf-8", errors="replace").splitlines(keepends=True)[1:]
    return {line.split("\t")[0]: line for line in lines if line.endswith("\n")}


def check(utts: Iterable[str], lines: Mapping[str, str], max_bad: float) -> None:
    """UserError where too few were heard."""
    utts = list(utts)
    bad = [utt for utt in utts if utt not in lines]
    print(f"transcribe: {len(utts)} utterances, {len(bad)} bad ones left out", file=sys.stderr)
    if not lines or len(bad) > max_bad * len(utts):
        raise UserError(f"{len(bad)} of {len(utts)} are bad (more than {max_bad:.0%}), {bad[0]} is one; see above")


if __name__ == "__main__":
    sys.exit(main())
