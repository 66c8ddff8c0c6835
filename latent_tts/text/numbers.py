"""Numbers as American English says them: cardinals, ordinals, years, digit strings."""

from __future__ import annotations

from collections.abc import Callable

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = ("", "thousand", "million", "billion", "trillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_LONGEST = 3 * len(SCALES)  # digits; longer numbers are read digit by digit


def digits(text: str) -> str:
    """Each digit of `text` by name; everything else in it is left out."""
    return " ".join(ONES[int(char)] for char in text if char.isdecimal())


def integer(text: str) -> str:
    """A string of digits (commas allowed) as a cardinal; digit by digit after a zero or above 15 digits."""
    text = text.replace(",", "")
    if len(text) > _LONGEST or len(text) > 1 and text[0] == "0":
        return digits(text)
    return cardinal(int(text))


def number(text: str) -> str:
    """A number as written, "1,234.5" or ".5", in words."""
    whole, _, fraction = text.partition(".")
    said = integer(whole) if whole else ""
    return f"{said} point {digits(fraction)}".strip() if fraction else said


def cardinal(n: int) -> str:
    """Words of 0 <= n < 10**15."""
    if n < 1000:
        return _below_thousand(n) if n else ONES[0]
    groups = []
    for scale in SCALES:
        n, group = divmod(n, 1000)
        if group:
            groups.append(f"{_below_thousand(group)} {scale}".strip())
    return " ".join(reversed(groups))


def _below_thousand(n: int) -> str:
    hundreds, rest = divmod(n, 100)
    words = [f"{ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20 and rest % 10:
        words.append(f"{TENS[rest // 10]}-{ONES[rest % 10]}")
    elif rest:
        words.append(TENS[rest // 10] if rest >= 20 else ONES[rest])
    return " ".join(words)


def ordinal(words: str) -> str:
    """The ordinal of a cardinal in words: "twenty-one" gives "twenty-first"."""
    return _change_last(words, _ordinal_of_word)


def _ordinal_of_word(word: str) -> str:
    return _ORDINALS.get(word) or (f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th")


def plural(words: str) -> str:
    """The plural of a number or unit in words: "nineteen ninety" gives "nineteen nineties"."""
    return _change_last(words, _plural_of_word)


def _plural_of_word(word: str) -> str:
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("x", "ch", "sh")) else f"{word}s"


def _change_last(words: str, change: Callable[[str], str]) -> str:
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    return words[:cut] + change(words[cut:])


def year(n: int) -> str:
    """A year from 1 to 9999 the way years are said: "nineteen oh five", "two thousand four", "twenty ten"."""
    century, rest = divmod(n, 100)
    if n < 1000 or century % 10 == 0 and rest < 10:
        return cardinal(n)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def roman(text: str) -> int | None:
    """The value of a Roman numeral in capitals below 4000, or None where `text` is not a proper one."""
    values = [_ROMAN[letter] for letter in text]
    total = sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))
    return total if _to_roman(total) == text else None


def _to_roman(n: int) -> str:
    written = ""
    for value, letters in (
        (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
        (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    ):  # fmt: skip
        written += letters * (n // value)
        n %= value
    return written
