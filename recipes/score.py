"""Stage 8: score spoken trials: WER and CER, speaker similarity, DNSMOS; one JSON file and one table row."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from latent_tts.errors import UserError
from latent_tts.evaluate.report import markdown_header, markdown_row, write_score
from latent_tts.evaluate.score import score_speech
from latent_tts.evaluate.trials import read_trials


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=Path, required=True)
    parser.add_argument("--wavs", type=Path, required=True, help="folder with <trial id>.wav")
    parser.add_argument(
        "--whisper", type=Path, help="CTranslate2 Whisper folder (tools/get_whisper.sh); without it no WER"
    )
    parser.add_argument("--out", type=Path, required=True, help="score.json")
    parser.add_argument("--name", default="", help="of the row")
    options = parser.parse_args(argv)
    try:
        score = score_speech(read_trials(options.trials), options.wavs, options.whisper, threads=2)
    except UserError as error:
        print(f"score: error: {error}", file=sys.stderr)
        return 2
    write_score(options.out, score)
    row = f"{markdown_header(score)}\n{markdown_row(options.name or options.wavs.name, score)}\n"
    options.out.with_name("row.md").write_text(row)
    print(row, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
