#!/usr/bin/env python3
"""Lists what is wrong with Kaldi data directories, line by line: validate_data_dir.py data/train data/valid
...
"""

from __future__ import annotations

import sys

from latent_tts.data.kaldi import validate_data_dir


def main(folders: list[str]) -> int:
    if not folders or folders[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if folders else 2
    problems = [problem for folder in folders for problem in validate_data_dir(folder)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
