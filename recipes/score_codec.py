"""Stage 3b: score a codec by itself, as `tts eval codec` does: unseen recordings, encoded and decoded.

What it loses there no language model can bring back. Leaves the sounds, row.md and pictures of spectrograms and frames
beside score.json, which comes last.
"""

from __future__ import annotations

import sys

from stage import stage

from latent_tts.evaluate.command import evaluate


@stage
def main(argv: list[str] | None = None) -> None:
    evaluate(["codec", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
