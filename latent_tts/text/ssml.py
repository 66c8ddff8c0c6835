"""A strict subset of SSML 1.1 (https://www.w3.org/TR/speech-synthesis11/). What cannot be done is refused, never passed
over: speak, p, s, break, prosody with a rate alone, voice with a name alone, and sub.
"""

from __future__ import annotations

import re
from dataclasses import replace
from xml.parsers import expat

from latent_tts.errors import UserError
from latent_tts.text.markup import Part, checked, rate_of, seconds_of, voice_of

ATTRIBUTES = {
    "speak": {"version", "xml:lang", "xmlns"},
    "p": set(),
    "s": set(),
    "break": {"time", "strength"},
    "prosody": {"rate"},
    "voice": {"name"},
    "sub": {"alias"},
}
NEEDED = {"prosody": ("rate",), "voice": ("name",), "sub": ("alias",)}
BREAKS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.0}  # seconds
RATES = {"x-slow": 0.6, "slow": 0.8, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
DEPTH = 32


def is_ssml(text: str) -> bool:
    return text.lstrip()[:200].startswith(("<speak", "<?xml"))


def read_ssml(text: str) -> list[Part]:
    """The parts of an SSML document. UserError with the line for what is malformed, not known or impossible."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.enter, reader.leave
    parser.CharacterDataHandler = reader.read
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = _refuse_declaration
    try:
        parser.Parse(text.strip().encode(), True)
    except expat.ExpatError as error:
        raise UserError(f"the SSML, line {error.lineno}: {expat.ErrorString(error.code)}; correct it there") from None
    except UserError as error:
        raise UserError(f"the SSML, line {parser.CurrentLineNumber}: {error}") from None
    return checked(reader.parts)


class _Reader:
    """Gathers parts while expat walks the document."""

    def __init__(self):
        self.parts: list[Part] = []
        self.path: list[tuple[str, Part]] = []  # open elements, and how to speak after each
        self.now = Part("")
        self.said: list[str] = []  # not yet in a part

    def enter(self, name: str, attributes: dict[str, str]) -> None:
        _check(name, attributes, [element for element, _ in self.path])
        if name == "sub":
            self.said.append(attributes["alias"])
        else:
            self.settle()
        self.path.append((name, self.now))
        if name == "break":
            self.now = replace(self.now, pause=self.now.pause + _pause(attributes))
        elif name == "prosody":
            self.now = replace(self.now, rate=_rate(attributes["rate"], self.now.rate))
        elif name == "voice":
            self.now = replace(self.now, voice=voice_of(attributes["name"]))

    def read(self, text: str) -> None:
        if self.path[-1][0] != "sub":  # whose alias is said in place of it
            self.said.append(text)

    def leave(self, name: str) -> None:
        if name == "sub":
            self.path.pop()
            return
        self.settle()
        _, before = self.path.pop()
        self.now = replace(before, pause=self.now.pause)
        if not self.path and self.now.pause:
            self.parts.append(self.now)

    def settle(self) -> None:
        """What was read so far is a part, said the present way."""
        text = "".join(self.said).strip()
        self.said = []
        if text:
            self.parts.append(replace(self.now, text=text))
            self.now = replace(self.now, pause=0.0)


def _check(name: str, attributes: dict[str, str], path: list[str]) -> None:
    """UserError for an element that is not known, stands where it may not, or has attributes that are not known."""
    if name not in ATTRIBUTES:
        raise UserError(f"<{name[:30]}> cannot be done; known are {', '.join(ATTRIBUTES)}")
    if (name == "speak") == bool(path):
        raise UserError("<speak> encloses the whole document, and stands nowhere else")
    if path and path[-1] in ("sub", "break"):
        raise UserError(f"<{path[-1]}> holds no other element; take <{name}> out of it")
    if len(path) >= DEPTH:
        raise UserError(f"elements lie more than {DEPTH} deep; flatten them")
    for attribute in attributes.keys() - ATTRIBUTES[name]:
        known = ", ".join(sorted(ATTRIBUTES[name])) or "none"
        raise UserError(f"{attribute[:30]!r} of <{name}> cannot be done; its attributes are: {known}")
    language = attributes.get("xml:lang", "en").lower()
    if language.split("-")[0] != "en":
        raise UserError(f"the language {language[:20]!r} cannot be spoken; only English (en) can")
    for needed in NEEDED.get(name, ()):
        if needed not in attributes:
            raise UserError(f"<{name}> wants {needed}={chr(34)}...{chr(34)}; add it")


def _pause(attributes: dict[str, str]) -> float:
    if "time" in attributes:
        return seconds_of(attributes["time"].strip().removeprefix("+"))
    strength = attributes.get("strength", "medium")
    if strength not in BREAKS:
        raise UserError(f"a break of strength {strength[:20]!r}; there are {', '.join(BREAKS)}")
    return BREAKS[strength]


def _rate(value: str, around: float) -> float:
    """A rate as a factor of the asked speed; a percentage counts from the rate ``around`` it, a name does not."""
    value = value.strip()
    if value in RATES:
        return RATES[value]
    if not value.endswith("%"):
        raise UserError(f"a rate of {value[:20]!r}; write a percentage such as 90%, or one of {', '.join(RATES)}")
    number = value[:-1]
    if not re.fullmatch(r"\d{1,4}(\.\d{0,6})?", number):
        raise UserError(f"a rate of {value[:20]!r}; write a percentage above 0 such as 90%")
    return rate_of(f"{float(number) / 100 * around:.6f}".rstrip("0"))


def _refuse_declaration(*declared: object) -> None:
    raise UserError("declarations and processing instructions are not read; begin with <speak>")
