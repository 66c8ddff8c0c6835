"""Text with marks, and dialogues: who says what, how fast, after which pause. In time linear in the text.

    [pause:0.5s] [pause:300ms]   silence; the sentence before it ends there
    [rate:0.9]                   from here on slower (or faster, above 1) than was asked for
    [voice:anna]                 from here on in the voice saved as "anna"; [voice:] goes back to the one that was given

A dialogue has a speaker and a colon at the beginning of a line; lines without one go on with the speaker before. Other
brackets, such as [1] and [sic], are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from latent_tts.errors import UserError

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"  # of a voice
RATES = (0.25, 4.0)
LONGEST_PAUSE = 10.0  # seconds
LONGEST_SILENCE = 600.0  # seconds of all pauses of a text together
TURN_PAUSE = 0.35  # seconds between two speakers of a dialogue

_MARK = re.compile(r"\[([A-Za-z]+):(?![/\s])([^\[\]\n]{0,80})\]")
_OPEN = re.compile(r"\[(?:pause|rate|voice):")
_TURN = re.compile(rf"({NAME})[ \t]*:(?!//)(.*)")
_SECONDS = re.compile(r"(\d{1,5}(?:\.\d{0,6})?|\.\d{1,6})(s|ms)")
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{0,6})?|\.\d{1,6}")


@dataclass(frozen=True)
class Part:
    """A stretch of text that is said in one way; one without ``text`` is a pause alone."""

    text: str
    voice: str = ""  # the name of a saved voice; "" is the voice that was given
    rate: float = 1.0  # times the speed that was asked for
    pause: float = 0.0  # seconds of silence before it


def read_marks(text: str) -> list[Part]:
    """The parts of a text with marks. UserError for a mark that is not known or holds an impossible value."""
    parts, now, end = [], Part(""), 0
    for match in _MARK.finditer(text):
        now = _said(parts, now, text[end : match.start()])
        now, end = _marked(now, match[1].lower(), match[2].strip()), match.end()
    _said(parts, now, text[end:], last=True)
    return checked(parts)


def read_dialogue(text: str) -> list[Part]:
    """The parts of a dialogue; "#" begins a comment line. UserError names the first line that has no speaker."""
    parts: list[Part] = []
    for name, said in _turns(text):
        for i, part in enumerate(read_marks(said)):
            if part.voice:
                raise UserError(f"[voice:{part.voice}] stands in a line of {name!r}; begin a line with the new speaker")
            turn = TURN_PAUSE if parts and not i else 0.0
            parts.append(Part(part.text, name, part.rate, part.pause + turn))
    return checked(parts)


def checked(parts: list[Part]) -> list[Part]:
    """The same parts. UserError where they hold nothing to say or more silence than anybody waits for."""
    if not any(part.text.strip() for part in parts):
        raise UserError("the text has marks but no words; give at least one word to say")
    silence = sum(part.pause for part in parts)
    if silence > LONGEST_SILENCE:
        raise UserError(f"the pauses last {silence:.0f} s together; keep them under {LONGEST_SILENCE:.0f} s")
    return parts


def seconds_of(value: str) -> float:
    """ "0.5s" or "500ms" as seconds. UserError for anything else and for more than LONGEST_PAUSE."""
    match = _SECONDS.fullmatch(value)
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else -1.0
    if not 0 <= seconds <= LONGEST_PAUSE:
        raise UserError(f"a pause of {value[:20]!r}; write seconds up to {LONGEST_PAUSE:g} such as 0.5s or 500ms")
    return seconds


def rate_of(value: str) -> float:
    """ "0.9" as a factor of the speed. UserError for anything else and outside RATES."""
    rate = float(value) if _NUMBER.fullmatch(value) else 0.0
    if not RATES[0] <= rate <= RATES[1]:
        raise UserError(f"a rate of {value[:20]!r}; write a number from {RATES[0]:g} to {RATES[1]:g} such as 0.9")
    return rate


def voice_of(value: str) -> str:
    """A voice's name as it is. UserError for one that no voice can have."""
    if not re.fullmatch(NAME, value):
        raise UserError(f"{value[:70]!r} is not the name of a voice; names are letters, digits, - and _ (at most 64)")
    return value


def _said(parts: list[Part], now: Part, text: str, last: bool = False) -> Part:
    """Note ``text`` as said the way of ``now``; what the next part begins with."""
    if match := _OPEN.search(text):
        raise UserError(f"the mark {text[match.start() :][:30]!r} is not complete; write it like [pause:0.5s]")
    if text.strip():
        parts.append(Part(text.strip(), now.voice, now.rate, now.pause))
        return Part("", now.voice, now.rate)
    if last and now.pause:
        parts.append(now)
    return now


def _marked(now: Part, name: str, value: str) -> Part:
    if name == "pause":
        return replace(now, pause=now.pause + seconds_of(value))
    if name == "rate":
        return replace(now, rate=rate_of(value))
    if name == "voice":
        return replace(now, voice=voice_of(value) if value else "")
    raise UserError(f"[{name}:...] is not a mark; there are [pause:0.5s], [rate:0.9] and [voice:NAME]")


def _turns(text: str) -> Iterator[tuple[str, str]]:
    """(speaker, what they say) of each turn."""
    name, lines = "", []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if match := _TURN.fullmatch(line):
            if lines:
                yield name, "\n".join(lines)
            name, lines = match[1], [match[2]] if match[2].strip() else []
        elif not name:
            raise UserError(f"line {number} of the dialogue has no speaker; begin it like this: anna: Hello.")
        else:
            lines.append(line)
    if lines:
        yield name, "\n".join(lines)
