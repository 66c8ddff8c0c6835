"""``tts completion bash|zsh``: a script for the shell, made from the parsers of the verbs."""

from __future__ import annotations

import argparse
import sys

from latent_tts.cli.options import Parser

SCRIPT = """# Completion of tts for {shell}; load it with:  eval "$(tts completion {shell})"
{prelude}_latent_tts() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} verb=${{COMP_WORDS[1]}} choices
    case "$previous" in
{values}    esac
    if [[ -z $choices ]]; then
        case "$verb" in
{options}        *) choices="{top}" ;;
        esac
        [[ $COMP_CWORD == 1 ]] && choices="{verbs} {top}"
    fi
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
}}
complete -o default -F _latent_tts tts latent-tts
"""
VOICES = "$(tts voice list --names 2>/dev/null)"


def completion(argv: list[str]) -> int:
    """Print the script."""
    parser = Parser(prog="tts completion", description="Print completion for a shell: eval \"$(tts completion bash)\"")
    parser.add_argument("shell", choices=("bash", "zsh"))
    sys.stdout.write(script(parser.parse_args(argv).shell))
    return 0


def script(shell: str) -> str:
    """Bash's completion; zsh runs the same through bashcompinit."""
    from latent_tts.cli import VERBS

    parsers = parsers_of_verbs()
    actions = [action for parser in parsers.values() for action in parser._actions]
    chosen = {name: a.choices for a in actions if a.choices and a.nargs is None for name in a.option_strings}
    values = [f'        {name}) choices="{" ".join(choices)}" ;;\n' for name, choices in sorted(chosen.items())]
    values.append(f'        --voice) choices="{VOICES}" ;;\n')
    words = {verb: _words(parser) for verb, parser in parsers.items()}
    return SCRIPT.format(
        shell=shell,
        prelude="autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else "",
        values="".join(values),
        options="".join(f'        {verb}) choices="{words[verb]}" ;;\n' for verb in words if verb != "speak"),
        top=words["speak"],
        verbs=" ".join(VERBS),
    )


def parsers_of_verbs() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the verbs that have options of this package; a verb without one completes to files."""
    from latent_tts.cli.jobs import batch_parser
    from latent_tts.cli.saved_voices import voice_parser
    from latent_tts.cli.speaking import speak_parser, stream_parser

    return {"speak": speak_parser(), "stream": stream_parser(), "batch": batch_parser(), "voice": voice_parser()}


def _words(parser: argparse.ArgumentParser) -> str:
    """Options, and the names of verbs below this one, with theirs."""
    words = {name: None for action in parser._actions for name in action.option_strings if name.startswith("--")}
    for action in parser._actions:
        for name, below in action.choices.items() if isinstance(action.choices, dict) else ():
            words |= dict.fromkeys([name, *_words(below).split()])
    return " ".join(words)
