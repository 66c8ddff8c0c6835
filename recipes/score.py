"""Stage 8: score spoken trials, as `tts eval speech` does: WER and CER, speaker similarity, DNSMOS.

Leaves row.md, pictures of reference and speech, and report.html beside score.json, which comes last. Parts leave the
rows of their trials; what is reckoned over all of them, intervals among it, is reckoned when they are joined.
"""

from __future__ import annotations

import argparse
import json
import sys

from stage import Part, add_parts, in_parts, stage

from latent_tts.evaluate.command import add_speech, draw_speech, leave_speech, measure_speech, speech_trials
from latent_tts.files import write_json


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_speech(parser)
    add_parts(parser)
    options = parser.parse_args(argv)
    trials, left = speech_trials(options), options.out / "score.json"

    def do(part: Part) -> None:
        rows = measure_speech(options, part.share(trials))
        draw_speech(options, part.share(trials[: options.pictures]))
        if part.suffix:
            write_json(part.of(left), rows)
        else:
            leave_speech(options, trials, rows)

    def join(parts: list[Part]) -> None:
        rows = {row["id"]: row for part in parts for row in json.loads(part.of(left).read_text("utf-8"))}
        leave_speech(options, trials, [rows[trial.id] for trial in trials])

    in_parts(options, left, do, join)


if __name__ == "__main__":
    sys.exit(main())
