"""English text as it is spoken: digits, abbreviations and symbols become words, in linear time."""

from __future__ import annotations

import re
import unicodedata

from latent_tts.errors import UserError
from latent_tts.text import vocabulary as vocab
from latent_tts.text.capitals import say_capitals
from latent_tts.text.symbols import PAUSE_MARKS, WORD_SPACE, stronger
from latent_tts.text.written import DIGIT_RULES, WORD_RULES

_LETTER = "A-Za-zÀ-ÖØ-öø-ɏ"
_MARK = "".join(PAUSE_MARKS)
_LONGEST_RUN = 120  # characters without a space; longer ones are broken up, so that no rule looks further
_PASSES = 4  # a dropped character may bring together what a rule knows, such as an initial and a name
_OTHER = re.compile(rf"[^{_LETTER}'{_MARK}-]+")
_WORD = re.compile(rf"[{_LETTER}'-]+")
_PAUSE = re.compile(rf" ?[{_MARK}](?: ?[{_MARK}])* ?")


def normalize(text: str) -> str:
    """The words of `text` in Latin letters, apostrophes, hyphens, single spaces and , . ; : ! ? — …

    An initialism comes out as C-E-O. Text without anything to say becomes "". Normalising it
    again changes nothing.
    """
    for _ in range(_PASSES):
        before, text = text, _normalize_once(text)
        if text == before:
            break
    return text


def _normalize_once(text: str) -> str:
    text = _clean(text)
    rules = DIGIT_RULES + WORD_RULES if re.search("[0-9]", text) else WORD_RULES
    for pattern, say in rules:
        text = pattern.sub(say, text)
    return _tidy(say_capitals(text))


class _Characters(dict):
    """What the rules expect in place of each character, found when a character is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = _plain(chr(code))
        return self[code]


def _plain(char: str) -> str:
    """A character of ASCII or `vocab.SYMBOLS`, a Latin letter, the name of a Greek one, a digit or space."""
    base = unicodedata.normalize("NFD", char)[0]
    if char in vocab.LIKE:
        return vocab.LIKE[char]
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if (
        char.isascii()
        and char.isprintable()
        or char in vocab.SYMBOLS
        or char in "–—…"
        or re.match(f"[{_LETTER}]", char)
    ):
        return char
    if base.lower() in vocab.GREEK:
        return f" {vocab.GREEK[base.lower()]} "
    if re.match(f"[{_LETTER}]", base):
        return base
    return "" if unicodedata.category(char) in ("Mn", "Cf") else " "


_characters = _Characters()
_BEFORE_NFKC = str.maketrans({"²": " squared ", "³": " cubed ", "º": "°", "™": "", "®": ""})


def _paragraphs(text: str) -> list[str]:
    """The parts of `text` between empty lines, each with single spaces."""
    paragraphs: list[list[str]] = [[]]
    for line in text.splitlines():
        if words := line.split():
            paragraphs[-1] += words
        elif paragraphs[-1]:
            paragraphs.append([])
    return [" ".join(words) for words in paragraphs if words]


def _clean(text: str) -> str:
    """Plain characters with single spaces, a stop before an empty line, no run above _LONGEST_RUN."""
    paragraphs = _paragraphs(text)
    closed = [part if part[-1] in _MARK else f"{part}." for part in paragraphs[:-1]]
    text = " ".join([*closed, *paragraphs[-1:]]).translate(_BEFORE_NFKC)
    text = re.sub("(?<=[0-9])(?=[¼-¾⅐-⅞])", " ", text)
    text = unicodedata.normalize("NFKC", text).translate(_characters)
    text = re.sub(r"\.{2,}", "…", text)
    return " ".join(
        word[i : i + _LONGEST_RUN] for word in text.split() for i in range(0, len(word), _LONGEST_RUN)
    )


def _tidy(text: str) -> str:
    """Only words and pause marks: one mark at a time, none at the beginning, written as in print."""
    text = _WORD.sub(_tidy_word, _OTHER.sub(" ", re.sub("-{2,}", "—", text)))
    text = " ".join(text.split())
    text = _PAUSE.sub(_tidy_pause, text).strip().lstrip(_MARK).strip()
    return text if re.search(f"[{_LETTER}]", text) else ""


def _tidy_word(match: re.Match) -> str:
    """Hyphens only between letters, apostrophes only in words or for letters left out at their ends."""
    if match[0] == "-":
        return "—"
    parts = []
    for written in match[0].split("-"):
        part = re.sub("'+", "'", written.strip("'"))
        if written.startswith("'") and part.lower() in vocab.ELIDED:
            part = f"'{part}"
        if written.endswith("'") and (part.lower() == "o" or part.lower().endswith("in")):
            part = f"{part}'"
        parts.append(part)
    return "-".join(filter(None, parts))


def _tidy_pause(match: re.Match) -> str:
    mark = WORD_SPACE
    for char in match[0].replace(" ", ""):
        mark = stronger(mark, char)
    return " — " if mark == "—" else f"{mark} "


# ---- sentences

_END = re.compile(r"(?<![.!?…])[.!?…]+[\"')\]’”]*(?= )")
_LAST_WORD = re.compile(rf"[{_LETTER}.]+$")
_CLAUSE_END = re.compile(r"[,;:—–)][\"'’”]? ")


def split_sentences(text: str, max_chars: int = 200) -> list[str]:
    """Sentences of at most `max_chars` characters, in order; no letter is lost. Made for normalised text.

    A full stop after an abbreviation or an initial, and one before a small letter after "…", "?" or "!", ends
    nothing; an empty line ends a sentence. A longer sentence is divided at a clause near the middle of what
    is allowed, or else between words, or else within a word. UserError when max_chars is below 1.
    """
    if max_chars < 1:
        raise UserError(f"max_chars is {max_chars}, but a sentence needs at least 1 character")
    sentences: list[str] = []
    for paragraph in _paragraphs(text):
        start = 0
        for end in [m.end() for m in _END.finditer(paragraph) if _ends_sentence(paragraph, m)] + [
            len(paragraph)
        ]:
            piece, start = paragraph[start:end].strip(), end
            if not re.search(r"\w", piece) and sentences:
                sentences[-1] = f"{sentences[-1]} {piece}".rstrip()[:max_chars]
            elif piece:
                sentences += _divide(piece, max_chars)
    return sentences


def _ends_sentence(text: str, match: re.Match) -> bool:
    """Whether the stop at `match` ends a sentence, by the word before it and the letter after it."""
    if text[match.end() + 1].islower() and set(match[0]) & set("!?…"):
        return False
    word = _LAST_WORD.search(text, max(0, match.start() - 20), match.start())
    if match[0][0] != "." or not word:
        return True
    initial = len(word[0]) == 1 and word[0].isupper() and word[0] != "I"
    return not (initial or "." in word[0] or word[0].lower() in vocab.NO_SENTENCE_END)


def _divide(sentence: str, max_chars: int) -> list[str]:
    """Parts of about the same length, none above max_chars; to find one takes a look at max_chars."""
    parts, start = [], 0
    while len(sentence) - start > max_chars:
        ideal = (len(sentence) - start) / -(-(len(sentence) - start) // max_chars)
        window = sentence[start : start + max_chars + 1]
        clauses = [m.end() for m in _CLAUSE_END.finditer(window) if m.end() > ideal / 2]
        spaces = [i + 1 for i, char in enumerate(window) if char == " " and i]
        cut = min(clauses or spaces or [max_chars], key=lambda end: abs(end - ideal))
        parts.append(window[:cut].strip())
        start += cut
    return [*parts, sentence[start:]]
