"""Stage 1: a corpus becomes data/train, data/valid and data/test, as egs/NAME/local/corpus.yaml says.

The options are the names in that file; one that is given is stronger. Parts that the corpus lacks are not missed in
validation and test: then every --every-th speaker (LJSpeech: utterance) is held out, those whose number divides by it
for test, those with remainder 1 for validation. Broken items are listed and left out, and more than 5 % of them is an
error; what has no transcript, or one that its recogniser doubted, is listed, left out and counted apart.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml
from stage import progress, stage

from latent_tts import audio
from latent_tts.data.corpora import READERS, Item, read_collection, read_transcripts, with_transcripts
from latent_tts.data.kaldi import Entry, entry_problem, validate_data_dir, write_data_dir
from latent_tts.errors import UserError

SPLITS = ("train", "valid", "test")
PLACES = ("corpus", "corpus_dir", "data_dir")  # are the user's
KINDS = {list: "a list, [a, b]", int: "a whole number", float: "a number", str: "a word"}


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--corpus", type=Path, metavar="YAML", help="facts: values for these options, and archives")
    add("--corpus_dir", type=Path, required=True, help="where it is")
    add("--data_dir", type=Path, default=Path("data"), help="where the data directories go")
    add("--layout", choices=sorted(READERS), help="see latent_tts/data/corpora.py")
    for split in SPLITS:
        add(f"--{split}", nargs="*", default=[], metavar="PART", help=f"parts of the corpus for {split}")
    add("--every", type=int, default=9, metavar="N", help="hold out every N-th where there is no part for it")
    add("--exclude", nargs="*", default=[], metavar="NAME", help="corpora of a collection to leave out")
    add("--transcripts", metavar="TSV", help="texts for what has none: utt, avg_logprob, text")
    add("--lowest_rate", type=int, default=16000, help="Hz; sound of less is broken")
    add("--min_seconds", type=float, default=0.8)
    add("--max_seconds", type=float, default=60.0)
    add("--min_logprob", type=float, default=-0.8, help="of machine transcripts")
    add("--max_bad", type=float, default=0.05, help="share of broken items that is borne")
    options = parser.parse_args(argv)
    if options.corpus:
        parser.set_defaults(**read_facts(options.corpus, parser.parse_args(["--corpus_dir", "."])))
    prepare(parser.parse_args(argv))


def read_facts(path: Path, defaults: argparse.Namespace) -> dict:
    """What a corpus.yaml says, but for its archives. UserError for a name that is no option and for a wrong kind."""
    try:
        facts = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"--corpus {path}: no YAML that can be read ({' '.join(str(error).split())})") from None
    if not isinstance(facts, dict):
        raise UserError(f"--corpus {path}: want lines like 'layout: librispeech'")
    facts.pop("archives", None)
    known = {name: default for name, default in vars(defaults).items() if name not in PLACES}
    for name, value in facts.items():
        if name not in known:
            raise UserError(f"--corpus {path}: {name!r} is not known; known are {', '.join(sorted(known))}, archives")
        kind = str if known[name] is None else type(known[name])
        if not isinstance(value, (int, float) if kind is float else kind):
            raise UserError(f"--corpus {path}: {name} is {value!r}; write {KINDS[kind]}")
    return facts


def prepare(options: argparse.Namespace) -> None:
    """Read, check, split, write, validate."""
    parts = parts_of(options)
    items = list_items(options, parts)
    splits, counts = sort_out(items, parts, options)
    print(
        f"{len(items)} items: {counts['bad']} bad, {counts['untranscribed']} without a transcript, "
        f"{counts['doubtful']} doubtful machine transcripts left out",
        file=sys.stderr,
    )
    if counts["bad"] > options.max_bad * len(items):
        raise UserError(f"{counts['bad']} of {len(items)} items are bad (more than {options.max_bad:.0%}); see above")
    empty = [split for split in SPLITS if not splits[split]]
    if empty:
        raise UserError(f"{options.corpus_dir}: nothing for {' and '.join(empty)}; name other parts or another --every")
    for split, pairs in splits.items():
        write_data_dir(options.data_dir / split, [entry for _, entry in pairs])
        problems = validate_data_dir(options.data_dir / split)
        if problems:
            raise UserError(f"{len(problems)} problems after writing {split}, the first: {problems[0]}")
    print(table(splits))


def parts_of(options: argparse.Namespace) -> dict[str, list[str]]:
    """The parts of each split that are there. UserError where the layout or one of the training parts is not."""
    if not options.layout:
        raise UserError(f"--layout: say one of {', '.join(sorted(READERS))}, here or in the file of --corpus")
    if options.every < 3:
        raise UserError(f"--every {options.every}: two of these are held out; give 3 or more")
    parts: dict[str, list[str]] = {}
    for split in SPLITS:
        parts[split] = [part for part in getattr(options, split) if (options.corpus_dir / part).is_dir()]
        lacking = sorted(set(getattr(options, split)) - set(parts[split]))
        if lacking and split == "train":
            there = sorted(path.name for path in options.corpus_dir.glob("*/"))
            raise UserError(f"--train: no part {lacking[0]!r} in {options.corpus_dir}; it has: {', '.join(there)}")
        if lacking:
            print(f"no {' '.join(lacking)} in {options.corpus_dir} for {split}", file=sys.stderr)
        if options.layout in ("librispeech", "libritts") and not parts[split]:
            print(f"{split}: every {options.every}th speaker of the training parts is held out", file=sys.stderr)
    twice = [part for part, count in Counter(sum(parts.values(), [])).items() if count > 1]
    if twice:
        raise UserError(f"the part {twice[0]!r} is in two splits; name it once in --train, --valid and --test")
    return parts


def list_items(options: argparse.Namespace, parts: dict[str, list[str]]) -> list[Item]:
    """All that the corpus has, and texts from --transcripts for what has none. UserError where there is nothing."""
    if options.layout == "collection":
        items = list(read_collection(options.corpus_dir, options.exclude))
    else:
        items = list(READERS[options.layout](options.corpus_dir, sum(parts.values(), [])))
    if not items:
        raise UserError(f"{options.corpus_dir}: no recording of the layout {options.layout!r}; see --layout, --train")
    table = read_transcripts(options.transcripts) if options.transcripts else {}
    return list(with_transcripts(items, table))


def sort_out(
    items: Sequence[Item], parts: dict[str, list[str]], options: argparse.Namespace
) -> tuple[dict[str, list[tuple[Item, Entry]]], Counter]:
    """The usable items of each split, each with its entry, and how many were left out for which kind of reason."""
    splits: dict[str, list[tuple[Item, Entry]]] = {split: [] for split in SPLITS}
    counts, seen = Counter(), set()
    for item in progress(items, desc="prepare", unit="utt"):
        kind, reason = "bad", ""
        if item.text is None:
            kind, reason = "untranscribed", "the corpus has no transcript of it"
        elif item.logprob is not None and (item.logprob < options.min_logprob or not item.text.strip()):
            kind, reason = "doubtful", f"mean log-probability {item.logprob} of {item.text[:40]!r}"
        else:
            try:
                splits[split_of(item, parts, options.every)].append((item, entry_of(item, seen, options)))
            except UserError as error:
                reason = str(error)
        if reason:
            counts[kind] += 1
            print(f"{kind} {item.utt} ({item.part}): {reason}", file=sys.stderr)
    return splits, counts


def split_of(item: Item, parts: dict[str, list[str]], every: int) -> str:
    """The split an item belongs to: that of its part, or by its number alone, so that it never moves."""
    for split in ("valid", "test"):
        if item.part in parts[split]:
            return split
    held = {0: "test", 1: "valid"}.get(item.number % every, "") if item.number is not None else ""
    return held if held and not parts[held] else "train"


def entry_of(item: Item, seen: set[str], options: argparse.Namespace) -> Entry:
    """The entry an item becomes. UserError with the reason where it is broken."""
    if item.utt in seen:
        raise UserError("the id comes twice")
    seen.add(item.utt)
    if not item.text.strip():
        raise UserError("its transcript is empty")
    seconds = sound_seconds(item.path, options.lowest_rate)
    if item.span:
        if item.span[1] > seconds + 0.1:
            raise UserError(f"it ends at {item.span[1]:g} s, its recording at {seconds:.2f} s")
        seconds = item.span[1] - item.span[0]
    if not options.min_seconds <= seconds <= options.max_seconds:
        raise UserError(f"{seconds:.2f} s is not {options.min_seconds:g} to {options.max_seconds:g} s")
    path, text = item.path.resolve(), readable(item.text)
    entry = Entry(item.utt, item.spk, path, text, seconds, item.span, item.recording)
    problem = entry_problem(entry)
    if problem:
        raise UserError(problem)
    return entry


@functools.lru_cache(maxsize=8)
def sound_seconds(path: Path, lowest_rate: int) -> float:
    """``audio.seconds``, once for all stretches of a recording."""
    return audio.seconds(path, lowest_rate)


def readable(text: str) -> str:
    """One line; a transcript without any lower case (LibriSpeech) loses its capitals, which carry nothing there."""
    text = " ".join(text.split())
    if not text.isupper() or len(text.split()) == 1:
        return text
    words = text.lower().split()
    text = " ".join("I" + word[1:] if word == "i" or word.startswith("i'") else word for word in words)
    return text[:1].upper() + text[1:]


def table(splits: dict[str, list[tuple[Item, Entry]]]) -> str:
    """Utterances, speakers and hours per split and part, as lines to read."""
    lines = [f"{'split':7}{'part':20}{'speakers':>9}{'utterances':>12}{'hours':>8}"]
    for split, pairs in splits.items():
        parts = sorted({item.part for item, _ in pairs})
        for part in parts if len(parts) == 1 else [*parts, ""]:
            rows = [entry for item, entry in pairs if not part or item.part == part]
            speakers, hours = len({entry.spk for entry in rows}), sum(entry.seconds for entry in rows) / 3600
            lines.append(f"{split:7}{part or 'all':20}{speakers:9}{len(rows):12}{hours:8.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
