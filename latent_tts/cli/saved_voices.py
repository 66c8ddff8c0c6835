"""``tts voice``: save, list, show, examine, blend and remove voices."""

from __future__ import annotations

import argparse
import json
import sys

from latent_tts.cli.options import (
    Parser,
    add_model_options,
    add_rehearsal_option,
    add_store_option,
    load,
    quieten,
    read_text_file,
)
from latent_tts.errors import UserError


def voice(argv: list[str]) -> int:
    args = voice_parser().parse_args(argv)
    quieten(args.quiet)
    args.run(args)
    return 0


def voice_parser() -> argparse.ArgumentParser:
    top = Parser(prog="tts voice", description="Save voices under names, and examine recordings.")
    verbs = top.add_subparsers(required=True, metavar="make|list|show|check|blend|remove")

    def verb(name: str, run, about: str) -> argparse.ArgumentParser:
        parser = verbs.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        parser.set_defaults(run=run)
        parser.add_argument("--quiet", action="store_true", help="nothing but errors on standard error")
        if name != "check":
            add_store_option(parser)
        return parser

    add = verb("make", _make, "clone a recording and save the voice").add_argument
    add("name", metavar="NAME", help="letters, digits, - and _")
    add("--reference", metavar="FILE", required=True, help="a recording of the voice; its best 3 to 10 s are used")
    add("--reference-text", metavar="TEXT", help="what is said in it; then the recording is used from its beginning")
    add("--reference-text-file", metavar="FILE", help="the same from a file")
    add("--consent", metavar="TEXT", help="a note that the owner agreed, kept in the file")
    add("--replace", action="store_true", help="take the place of a voice that has this name")
    add_rehearsal_option(verbs.choices["make"])
    add_model_options(verbs.choices["make"])
    verb("list", _list, "the names of all saved voices").add_argument(
        "--names", action="store_true", help="nothing but the names"
    )
    add = verb("show", _show, "what is in a saved voice").add_argument
    add("name", metavar="NAME")
    add("--json", action="store_true", help="as JSON")
    add = verb("check", _check, "examine a recording: is it fit to clone a voice from?").add_argument
    add("recording", metavar="FILE")
    add("--json", action="store_true", help="as JSON")
    add("--picture", metavar="PNG", help="draw the recording and what is taken of it")
    add("-o", "--output", metavar="FILE", help="write the best seconds of it")
    add = verb("blend", _blend, "save a voice between two").add_argument
    add("name", metavar="NAME", help="of the new voice")
    add("one", metavar="ONE")
    add("other", metavar="OTHER")
    add("--weight", type=float, default=0.5, metavar="W", help="of the other, from 0 to 1; default: 0.5")
    add("--replace", action="store_true", help="take the place of a voice that has this name")
    verb("remove", _remove, "delete a saved voice").add_argument("name", metavar="NAME")
    return top


def _make(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from latent_tts import audio
    from latent_tts.clinic import examine

    store = _store(args)
    _free(store, args)
    text = args.reference_text
    if args.reference_text_file:
        if text is not None:
            raise UserError("the text of the reference is given twice; give one of the two options")
        text = read_text_file(args.reference_text_file)
    wav, rate = audio.read_reference(args.reference)
    report, best = examine(wav, rate)
    for line in report.lines() if text is None else [f"the recording {f.text}" for f in report.findings]:
        print(f"tts: {line}", file=sys.stderr) if not args.quiet else None
    made = load(args).clone(wav if text else best, text=text, sample_rate=rate, rehearse=args.rehearse)
    print(store.save(args.name, replace(made, consent=args.consent or "")))


def _list(args: argparse.Namespace) -> None:
    store = _store(args)
    for name in store.list():
        try:
            print(name if args.names else f"{name:<24} {_line(store.load(name))}")
        except UserError as error:
            print(f"{name:<24} BROKEN {error}")


def _show(args: argparse.Namespace) -> None:
    found = _store(args).load(args.name)
    about = {
        "name": found.name,
        "frames": len(found.frames),
        "width": found.frames.shape[1],
        "sample_rate": found.sample_rate,
        "text": found.text,
        "phones": " ".join(found.phones),
        "model": found.model,
        "consent": found.consent,
        "rehearsed": found.transport is not None,
    }
    if args.json:
        print(json.dumps(about, ensure_ascii=False))
    else:
        print("\n".join(f"{name:<12} {value if value != '' else '-'}" for name, value in about.items()))


def _check(args: argparse.Namespace) -> None:
    from latent_tts import audio
    from latent_tts.clinic import draw, examine

    if args.output:
        audio.check_output(args.output)
    wav, rate = audio.read_reference(args.recording)
    report, best = examine(wav, rate)
    print(json.dumps(report.as_dict()) if args.json else "\n".join(report.lines()))
    if args.output:
        audio.write(args.output, best, rate)
    if args.picture:
        draw(args.picture, wav, rate, report)


def _blend(args: argparse.Namespace) -> None:
    from latent_tts.voices import blend

    store = _store(args)
    _free(store, args)
    print(store.save(args.name, blend(store.load(args.one), store.load(args.other), args.weight)))


def _remove(args: argparse.Namespace) -> None:
    _store(args).remove(args.name)


def _store(args: argparse.Namespace):
    from latent_tts.voices import VoiceStore

    return VoiceStore(args.voices)


def _free(store, args: argparse.Namespace) -> None:
    """UserError where the name is no name, or taken and not to be replaced."""
    from latent_tts.text.markup import voice_of

    if voice_of(args.name) in store.list() and not args.replace:
        raise UserError(f"there is a voice {args.name!r} already; choose another name, or add --replace")


def _line(found) -> str:
    told = f'"{found.text[:40]}"' if found.text else "text unknown"
    return f"{len(found.frames)} frames, {told}, model {found.model}, consent: {found.consent[:40] or '-'}"
