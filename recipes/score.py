"""Stage 8: score spoken trials: WER and CER, speaker similarity, DNSMOS; one JSON file and one table row.

Leaves row.md and pictures of reference and speech beside score.json, which comes last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pictures import Panel, draw
from stage import stage

from latent_tts import audio
from latent_tts.evaluate.report import markdown_header, markdown_row, write_score
from latent_tts.evaluate.score import score_speech
from latent_tts.evaluate.trials import read_trials


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=Path, required=True, help="the list, a TSV file")
    parser.add_argument("--wavs", type=Path, required=True, help="folder with <trial id>.wav")
    parser.add_argument(
        "--whisper", type=Path, help="CTranslate2 Whisper folder (tools/get_whisper.sh); without it no WER"
    )
    parser.add_argument("--out", type=Path, required=True, help="score.json")
    parser.add_argument("--name", default="", help="of the row")
    parser.add_argument("--pictures", type=int, default=3, help="how many trials are drawn")
    options = parser.parse_args(argv)
    trials = read_trials(options.trials)
    score = score_speech(trials, options.wavs, options.whisper, threads=2)
    for trial in trials[: options.pictures]:
        heard = Panel(f"reference: {trial.speaker}", *audio.read(trial.reference))
        spoken = Panel(f"speech: {trial.text}", *audio.read(options.wavs / f"{trial.id}.wav"))
        draw(options.out.parent / "pictures" / f"{trial.id}.png", [heard, spoken])
    row = f"{markdown_header(score)}\n{markdown_row(options.name or options.wavs.name, score)}\n"
    options.out.with_name("row.md").write_text(row, encoding="utf-8")
    write_score(options.out, score)
    print(row, end="")


if __name__ == "__main__":
    sys.exit(main())
