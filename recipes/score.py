"""Stage 8: score spoken trials, as `tts eval speech` does: WER and CER, speaker similarity, DNSMOS.

Leaves row.md, pictures of reference and speech, and report.html beside score.json, which comes last.
"""

from __future__ import annotations

import sys

from stage import stage

from latent_tts.evaluate.command import evaluate


@stage
def main(argv: list[str] | None = None) -> None:
    evaluate(["speech", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
