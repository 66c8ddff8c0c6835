#!/usr/bin/env python3
"""Stage 1: corpora below a folder become data/train, data/valid and data/test.

    data_prep.py --corpus_dir DIR --data_dir data [--exclude NAME ...]

Test speakers are those whose number divides by 9, validation speakers those with remainder 1, among
LibriSpeech speakers with one utterance and numbered speakers of Kaldi directories; everything else trains.
Broken items are listed on stderr and left out; more than 5 % of them is an error. Machine transcripts below
--min_logprob are left out too, and counted apart.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from corpora import READERS, Item, find_corpora
from tqdm import tqdm

from latent_tts import audio
from latent_tts.data.kaldi import Entry, entry_problem, validate_data_dir, write_data_dir
from latent_tts.errors import UserError

SPLITS = ("train", "valid", "test")


def split_of(item: Item) -> str:
    """The split an utterance belongs to: a property of its speaker alone, so that it never moves."""
    if item.held_out_by is None:
        return "train"
    return {0: "test", 1: "valid"}.get(item.held_out_by % 9, "train")


def readable(text: str) -> str:
    """One line; a transcript without any lower case (LibriSpeech) loses its capitals, which carry nothing
    there.
    """
    text = " ".join(text.split())
    if not text.isupper() or len(text.split()) == 1:
        return text
    text = " ".join(
        "I" + word[1:] if word == "i" or word.startswith("i'") else word for word in text.lower().split()
    )
    return text[:1].upper() + text[1:]


def check(item: Item, seen: set[str], min_seconds: float) -> Entry:
    """The entry an item becomes. Raises UserError with the reason when it is broken."""
    if item.utt in seen:
        raise UserError("the id comes twice")
    seen.add(item.utt)
    if not item.text.strip():
        raise UserError("no transcript")
    seconds = audio.seconds(item.path)
    if seconds < min_seconds:
        raise UserError(f"{seconds:.2f} s is shorter than {min_seconds} s")
    entry = Entry(item.utt, item.spk, item.path.resolve(), readable(item.text), seconds)
    problem = entry_problem(entry)
    if problem:
        raise UserError(problem)
    return entry


def collect(corpus_dir: str, exclude: list[str]) -> list[Item]:
    """All items of all corpora that are not excluded."""
    corpora = find_corpora(corpus_dir)
    unknown = sorted(set(exclude) - corpora.keys())
    if unknown:
        raise UserError(
            f"--exclude {unknown[0]}: no such corpus in {corpus_dir}; it has: {', '.join(sorted(corpora))}"
        )
    kept = {name: corpus for name, corpus in corpora.items() if name not in exclude}
    if not kept:
        raise UserError(
            f"{corpus_dir}: no corpus found; want the layout of LibriSpeech, LJSpeech, VCTK or Kaldi"
        )
    return [item for layout, folder in kept.values() for item in READERS[layout](folder)]


def prepare(
    items: list[Item], min_seconds: float, min_logprob: float
) -> tuple[dict[str, list[tuple[Item, Entry]]], int, int]:
    """Sorts items into splits; returns them with the number of broken items and of doubtful machine
    transcripts.
    """
    splits: dict[str, list[tuple[Item, Entry]]] = {name: [] for name in SPLITS}
    seen: set[str] = set()
    broken = doubtful = 0
    for item in tqdm(items, desc="data_prep", unit="utt", disable=not sys.stderr.isatty()):
        if item.logprob is not None and item.logprob < min_logprob:
            print(
                f"doubtful {item.utt}: mean log-probability {item.logprob} < {min_logprob}", file=sys.stderr
            )
            doubtful += 1
            continue
        try:
            splits[split_of(item)].append((item, check(item, seen, min_seconds)))
        except UserError as error:
            print(f"broken {item.utt} ({item.corpus}): {error}", file=sys.stderr)
            broken += 1
    return splits, broken, doubtful


def table(splits: dict[str, list[tuple[Item, Entry]]]) -> str:
    """Utterances, speakers and hours per split and corpus, as lines to read."""
    lines = [f"{'split':7}{'corpus':20}{'speakers':>9}{'utterances':>12}{'hours':>8}"]
    for split, pairs in splits.items():
        counts, hours = Counter(item.corpus for item, _ in pairs), Counter()
        for item, entry in pairs:
            hours[item.corpus] += entry.seconds / 3600
        for corpus in sorted(counts):
            spks = len({item.spk for item, _ in pairs if item.corpus == corpus})
            lines.append(f"{split:7}{corpus:20}{spks:9}{counts[corpus]:12}{hours[corpus]:8.3f}")
        lines.append(
            f"{split:7}{'all':20}{len({i.spk for i, _ in pairs}):9}{len(pairs):12}{sum(hours.values()):8.3f}"
        )
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """The stage: read, check, split, write, validate."""
    items = collect(args.corpus_dir, args.exclude)
    splits, broken, doubtful = prepare(items, args.min_seconds, args.min_logprob)
    print(
        f"{len(items)} items: {broken} broken, {doubtful} doubtful machine transcripts left out",
        file=sys.stderr,
    )
    if broken > args.max_broken * len(items):
        raise UserError(
            f"{broken} of {len(items)} items are broken (more than {args.max_broken:.0%}); see the list above"
        )
    if not splits["train"]:
        raise UserError(f"{args.corpus_dir}: nothing left to train on")
    for name, pairs in splits.items():
        folder = Path(args.data_dir) / name
        if not pairs:
            print(f"data_prep: no speaker falls into {name}: {folder} is not written", file=sys.stderr)
            continue
        write_data_dir(folder, [entry for _, entry in pairs])
        problems = validate_data_dir(folder)
        if problems:
            raise UserError(f"{folder}: {len(problems)} problems after writing, the first: {problems[0]}")
    print(table(splits))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus_dir", "--corpus-dir", required=True, help="folder that holds the corpora")
    parser.add_argument("--data_dir", "--data-dir", default="data")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAME", help="leave a corpus out, by folder name"
    )
    parser.add_argument("--min_seconds", "--min-seconds", type=float, default=0.8)
    parser.add_argument("--min_logprob", "--min-logprob", type=float, default=-0.8)
    parser.add_argument(
        "--max_broken", "--max-broken", type=float, default=0.05, help="share of broken items that is borne"
    )
    try:
        run(parser.parse_args(argv))
    except UserError as error:
        print(f"data_prep: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
