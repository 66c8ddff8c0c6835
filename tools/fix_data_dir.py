#!/usr/bin/env python3
"""Puts Kaldi data directories right: fix_data_dir.py data/train data/valid ...

Sorts, makes spk2utt again, measures durations that are wanting; leaves out what cannot be put right, a line for each on
standard error, and keeps the old tables in DIR/.backup. Exit status: 1 where something was left out, 2 where nothing
would remain or a directory cannot be read.
"""

from __future__ import annotations

import sys

from latent_tts.data.repair import fix_data_dir
from latent_tts.errors import UserError


def main(folders: list[str]) -> int:
    if not folders or folders[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if folders else 2
    status = 0
    for folder in folders:
        try:
            problems, remain = fix_data_dir(folder)
        except UserError as error:
            print(f"fix_data_dir: error: {error}", file=sys.stderr)
            status = 2
            continue
        for problem in problems:
            print(f"{folder}: {problem}", file=sys.stderr)
        print(f"{folder}: {remain} utterances, {len(problems)} problems left out", file=sys.stderr)
        status = max(status, int(bool(problems)))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
