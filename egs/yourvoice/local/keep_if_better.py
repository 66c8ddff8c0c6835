#!/usr/bin/env python3
"""Compares two models on the same held-out trials, sentence by sentence, and keeps the trained one if it is better.

Better is: the voice is more alike beyond doubt and no more than --margin of the words are lost in addition, or fewer
words are lost beyond doubt and the voice is no less alike. Beyond doubt is where the 95 % bootstrap interval of the
paired difference, drawn over sentences, does not hold 0. Leaves check.md and check.json; exit status 4 where it is not
better.

A model that is kept gets the recording that is nearest to the middle of the voice as its own reference, and a card.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from datetime import date
from pathlib import Path

import numpy as np

from latent_tts import audio
from latent_tts.clinic import BEST_SECONDS, examine
from latent_tts.data.kaldi import Entry, read_data_dir
from latent_tts.errors import UserError, program
from latent_tts.evaluate import similarity, wer
from latent_tts.evaluate.report import figure, markdown_table, write_score
from latent_tts.files import write_whole
from latent_tts.speaker import load_encoder

NOT_BETTER = 4  # exit status
CANDIDATES = 40  # recordings that are looked at for a reference


def by_sentence(score: dict) -> dict[str, tuple[int, int, float]]:
    """Sentence -> words that went wrong, words, mean similarity, over its trials."""
    rows: dict[str, list[tuple[int, int, float]]] = {}
    for row in score["each"]:
        words = len(wer.standardise(row["text"]).split())
        rows.setdefault(row["text"], []).append((round(row["wer"] * words), words, row["similarity"]))
    return {
        text: (sum(r[0] for r in found), sum(r[1] for r in found), float(np.mean([r[2] for r in found])))
        for text, found in rows.items()
    }


def differences(before: dict, after: dict) -> dict[str, dict]:
    """After less before, in figures with intervals: ``wer`` as a share of words, ``similarity``."""
    old, new = by_sentence(before), by_sentence(after)
    if old.keys() != new.keys():
        raise UserError("the two scores are of different trials; remove speak_before and speak_test and run again")
    pairs = [(old[text], new[text]) for text in sorted(old)]
    return {
        "wer": figure([b[0] - a[0] for a, b in pairs], [a[1] for a, _ in pairs]),
        "similarity": figure([b[2] - a[2] for a, b in pairs]),
    }


def is_better(change: dict[str, dict], margin: float) -> bool:
    words, voice = change["wer"], change["similarity"]
    more_alike = voice["interval"][0] > 0 and words["value"] <= margin
    reads_better = words["interval"][1] < 0 and voice["value"] >= 0
    return more_alike or reads_better


def table(before: dict, after: dict, change: dict[str, dict], base: str) -> str:
    """Both rows as ``tts eval`` has them, and a line with the differences."""
    words, voice = change["wer"], change["similarity"]
    low, high = words["interval"]
    points = f"WER {100 * words['value']:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
    low, high = voice["interval"]
    alike = f"similarity {voice['value']:+.3f} [{low:+.3f}, {high:+.3f}]"
    rows = markdown_table({f"{base}, before": before, "after": after})
    return f"{rows}\nOn the same {len(by_sentence(before))} sentences: {points}, {alike}.\n"


def choose_reference(entries: list[Entry]) -> Entry:
    """Of up to CANDIDATES sound recordings of a good length the one nearest to the mean of their voices."""
    fit = [entry for entry in entries if BEST_SECONDS[0] <= entry.seconds <= BEST_SECONDS[1]] or entries
    heard = {entry: audio.read(entry.path) for entry in fit[:: max(1, len(fit) // CANDIDATES)]}
    good = [entry for entry, sound in heard.items() if examine(*sound, extras=False)[0].good] or list(heard)
    encoder = load_encoder()
    voices = np.stack([similarity.embed(encoder, *heard[entry]) for entry in good])
    return good[int(np.argmax(voices @ voices.mean(axis=0)))]


def card(base: str, minutes: float, checked: str) -> str:
    return f"""# One voice, learnt from {minutes:.1f} minutes

{base}, trained further on recordings of one speaker by `egs/yourvoice/run.sh`, {date.today()}. `reference.flac` is the
speaker. The codec and the aligner are {base}'s. Held-out sentences behind held-out recordings, before and after:

{checked}
Its voice belongs to a person: speak with it as that person agreed to, and say that the speech is synthetic.
"""


def keep(trained: Path, out: Path, reference: Entry, about: str) -> None:
    """``out`` appears at once, whole: the trained model, its reference and its card."""
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(trained, beside)
    audio.write(beside / "reference.flac", *audio.read(reference.path))
    (beside / "reference.txt").write_text(reference.text + "\n", "utf-8")
    (beside / "README.md").write_text(about, "utf-8")
    os.replace(beside, out)


def run(options: argparse.Namespace) -> int:
    scores = [options.exp / name / "score.json" for name in ("speak_before", "speak_test")]
    before, after = (json.loads(path.read_text("utf-8")) for path in scores)
    change, base = differences(before, after), options.base.resolve().name
    better = is_better(change, options.margin)
    checked = table(before, after, change, base)
    write_score(options.work_dir / "check.json", {"better": better, "change": change})
    write_whole(options.work_dir / "check.md", checked.encode())
    print(checked)
    if not better:
        print(f"keep_if_better: not better than {base}; what was trained stays in {options.exp}/model", file=sys.stderr)
        return NOT_BETTER
    if not options.out.exists():
        learnt = read_data_dir(options.work_dir / "data/train")
        minutes = sum(entry.seconds for entry in learnt) / 60
        keep(options.exp / "model", options.out, choose_reference(learnt), card(base, minutes, checked))
    print(f"keep_if_better: better; speak with: tts --model {options.out} 'Hello there.' -o hello.wav", file=sys.stderr)
    return 0


@program
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, required=True)
    parser.add_argument("--exp", type=Path, required=True, help="folder of the training, with model/ and the scores")
    parser.add_argument("--base", type=Path, required=True, help="the model before")
    parser.add_argument("--out", type=Path, required=True, help="where the model goes that is kept")
    parser.add_argument("--margin", type=float, default=0.02, help="share of words that may be lost in addition")
    try:
        return run(parser.parse_args(argv))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is not there; run the stages before") from error


if __name__ == "__main__":
    sys.exit(main())
