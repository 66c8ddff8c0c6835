"""Words in capitals: Roman numerals become numbers, initialisms letters, and shouting plain words."""

from __future__ import annotations

import re
import unicodedata

from latent_tts.text import vocabulary as vocab
from latent_tts.text.numbers import cardinal, ordinal, roman

_CAPITAL = "A-ZÀ-ÖØ-Þ"
_LETTER = "A-Za-zÀ-ÖØ-öø-ɏ"
_NO_LETTER_BEFORE, _NO_LETTER_AFTER = rf"(?<![{_LETTER}'])", rf"(?![{_LETTER}'])"
_SENTENCE = re.compile(r"[^.!?…]+[.!?…]*|[.!?…]+")
_WORD = re.compile(rf"[{_LETTER}](?:[{_LETTER}']*[{_LETTER}])")
_CAPITALS = re.compile(
    rf"{_NO_LETTER_BEFORE}([{_CAPITAL}]{{2,}})('?s(?![{_LETTER}'])|'[{_CAPITAL}]+)?{_NO_LETTER_AFTER}"
)
_NUMBERED = re.compile(rf"\b((?i:{'|'.join(vocab.NUMBERED)})) ([IVXLCDM]+|[ivxl]{{2,}})\b(?!')")
_RULER = re.compile(rf"\b((?i:{'|'.join(vocab.RULERS)})) ([IVX]+)\b(?!')")
_AFTER_THE_FIRST = re.compile(r"(?! [a-z])| (?:of|was|and|the|who|is|had|in|to|died)\b")
_STANDALONE = re.compile(rf"(?<![{_LETTER}'-])[IVX]{{2,}}(?![{_LETTER}'-])")


def say_capitals(text: str) -> str:
    """`text` (letters and punctuation) without words in capitals, except for acronyms such as NASA."""
    text = _NUMBERED.sub(_say_numbered, text)
    text = _RULER.sub(_say_ruler, text)
    text = _STANDALONE.sub(lambda m: cardinal(roman(m[0])) if roman(m[0]) else m[0], text)
    return "".join(_say_sentence(sentence) for sentence in _SENTENCE.findall(text))


def spell(letters: str) -> str:
    """An initialism in the form that the phonemizer spells out: "NBA" gives "N-B-A"."""
    return "-".join(letters.upper())


def has_vowel(word: str) -> bool:
    """Whether a word could be said as one."""
    return not set("aeiouy").isdisjoint(unicodedata.normalize("NFD", word.lower()))


def _say_numbered(match: re.Match) -> str:
    word, numeral = match.groups()
    lone = len(numeral) == 1
    value = None if lone and (numeral not in "IVX" or word.islower()) else roman(numeral.upper())
    return f"{word} {cardinal(value)}" if value else match[0]


def _say_ruler(match: re.Match) -> str:
    pronoun = match[2] == "I" and not _AFTER_THE_FIRST.match(match.string, match.end())
    value = None if pronoun else roman(match[2])
    return f"{match[1]} the {ordinal(cardinal(value))}" if value else match[0]


def _say_sentence(sentence: str) -> str:
    """One sentence; if it is mostly in capitals, only well-known initialisms in it are spelled out."""
    if sentence.islower():
        return sentence
    plain = [
        word for word in _WORD.findall(sentence) if word not in vocab.SPELLED and word not in vocab.ACRONYMS
    ]
    loud = sum(word.isupper() for word in plain)
    shouted = loud >= 2 and 4 * loud >= 3 * len(plain)
    if shouted:
        sentence = re.sub(rf"(?<![{_LETTER}'-])A(?= )", "a", sentence)
    return _CAPITALS.sub(lambda match: _say_word(match[1], match[2] or "", shouted), sentence)


def _say_word(word: str, ending: str, shouted: bool) -> str:
    if ending[1:].isupper() and ending != "'S":  # "DON'T"
        return (word + ending).lower()
    said_as_word = word in vocab.CAPITAL_WORDS or shouted and word in vocab.AMBIGUOUS
    if word in vocab.ACRONYMS and not said_as_word:
        return word + ending.lower()
    unsayable = not has_vowel(word) and word not in vocab.LOUD_TITLES and word not in vocab.SOUNDS
    short = len(word) <= 3 and not shouted and word not in vocab.LOUD_TITLES
    if not said_as_word and (word in vocab.SPELLED or unsayable or short):
        return spell(word) + ending.lower()
    return (word + ending).lower()
