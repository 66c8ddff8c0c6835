"""Written forms and how they are said: addresses, telephone numbers, dates, times, money, units and such.

DIGIT_RULES, which matter where there are digits, and then WORD_RULES are pairs (pattern, replacement) for
`re.sub`, in order. The text has single spaces, and no other run of characters is long (see normalize.py); no
pattern repeats over spaces, so each rule looks at a bounded stretch of text and the whole takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from latent_tts.text import vocabulary as vocab
from latent_tts.text.capitals import has_vowel, spell
from latent_tts.text.numbers import cardinal, digits, integer, number, ordinal, plural, year

_LETTER = "A-Za-zÀ-ÖØ-öø-ɏ"
_BEGIN = r"(?<![\w.,])"  # where a number may begin
_NUM = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\w)\.\d+)"
_MONTH = "|".join(f"{month}|{month[:3]}\\.?" for month in vocab.MONTHS) + r"|Sept\.?"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_SIGN = "|".join(re.escape(sign) for sign in sorted(vocab.CURRENCIES, key=len, reverse=True))
_SCALE = "thousand|million|billion|trillion"
_UNIT = "|".join(re.escape(unit) for unit in sorted(vocab.UNITS, key=len, reverse=True))
_SENTENCE_START = re.compile(rf"[\"')\]]*(?: (?:{'|'.join(vocab.SENTENCE_STARTERS)})\b|$)")


def _stop(match: re.Match) -> str:
    """The full stop of an abbreviation, where it also ends the sentence."""
    return "." if _SENTENCE_START.match(match.string, match.end()) else ""


# ---- addresses


def _say_address(match: re.Match) -> str:
    """A URL, an e-mail address or a file's name: words, dots and slashes by name, the scheme left out."""
    address = match[0].rstrip(".,;:!?'\")]}*")
    parts = re.findall(rf"[{_LETTER}]+|\d+|.", re.sub(r"^\w+://", "", address).rstrip("/"))
    return f" {' '.join(map(_say_address_part, parts))} {match[0][len(address) :]}"


def _say_address_part(part: str) -> str:
    if part.isdecimal():
        return _say_year_or_number(part) if len(part) in (1, 2, 4) else digits(part)
    if not part.isalpha():
        return vocab.ADDRESS.get(part, "")
    if len(part) == 1:
        return part.upper()
    spelled = (
        len(part) < 6 and not has_vowel(part) or len(part) == 2 and part.lower() not in vocab.SHORT_WORDS
    )
    return spell(part) if spelled else part


# ---- numbers


def _say_year_or_number(text: str) -> str:
    """A number by itself: 1100 to 2099 as a year, and seven digits and more, unless round, one by one."""
    if re.fullmatch(r"1[1-9]\d\d|20\d\d", text):
        return year(int(text))
    if re.fullmatch(r"\d{7,}", text) and not text.endswith("000"):
        return digits(text)
    return number(text)


def _say_groups(match: re.Match) -> str:
    """A telephone or other number in groups: its digits, with a pause between the groups."""
    plus = "plus " if match[0].startswith("+") else ""
    return f" {plus}{', '.join(map(digits, re.findall(r'[0-9]+', match[0])))} "


def _say_version(match: re.Match) -> str:
    parts = match[0].split(".")
    return " " + (
        " dot ".join(map(digits, parts)) if len(parts) == 4 else " point ".join(map(integer, parts))
    )


def _say_fraction(match: re.Match) -> str:
    whole, above, below = match[1], match[2], match[3]
    if not whole and (above, below) in (("24", "7"), ("9", "11")):
        return f"{cardinal(int(above))} {cardinal(int(below))}"
    if above == below and not whole:
        return f"{integer(above)} {integer(below)}"
    if not 0 < int(above) < int(below) <= 100 or below[0] == "0":
        return f"{whole + ' ' if whole else ''}{integer(above)} over {integer(below)}"
    one, many = vocab.FRACTIONS.get(below) or (ordinal(integer(below)), plural(ordinal(integer(below))))
    said = f"{integer(above)} {one if int(above) == 1 else many}"
    return f"{integer(whole)} and {said}" if whole else said


def _say_decade(match: re.Match) -> str:
    return plural(_say_year_or_number(match[1]))


# ---- dates and times


def _say_month(text: str) -> str:
    return next(month for month in vocab.MONTHS if month.startswith(text[:3]))


def _say_date(day: str, month: str, in_year: str | None) -> str:
    return f"{month} {ordinal(cardinal(int(day)))}{', ' + _say_year(in_year) if in_year else ''}"


def _say_year(text: str) -> str:
    if len(text) == 2:
        return _say_year(("20" if int(text) < 50 else "19") + text)
    return year(int(text)) if int(text) else digits(text)


def _say_month_first(match: re.Match) -> str:
    return _say_date(match[2], _say_month(match[1]), match[3])


def _say_day_first(match: re.Match) -> str:
    in_year = f", {_say_year(match[3])}" if match[3] else ""
    return f"the {ordinal(cardinal(int(match[1])))} of {_say_month(match[2])}{in_year}"


def _say_iso_date(match: re.Match) -> str:
    return _say_date(match[3], vocab.MONTHS[int(match[2]) - 1], match[1])


def _say_slash_date(match: re.Match) -> str:
    """Month first as in America, unless only the second number can be a month."""
    month, day = (match[2], match[1]) if int(match[1]) > 12 else (match[1], match[2])
    if int(month) > 12:
        return match[0]
    return _say_date(day, vocab.MONTHS[int(month) - 1], match[3])


def _say_time(match: re.Match) -> str:
    hour, minute, second, half = match[1], match[2], match[3], match[4]
    said = cardinal(int(hour))
    if int(minute):
        said += f" {'oh ' if minute[0] == '0' else ''}{cardinal(int(minute))}"
    elif not half:
        said += " o'clock" if 0 < int(hour) < 13 else " hundred"
    if second:
        said += f" and {cardinal(int(second))} {'second' if int(second) == 1 else 'seconds'}"
    return said + _say_half_day(half, match)


def _say_hour(match: re.Match) -> str:
    return cardinal(int(match[1])) + _say_half_day(match[2], match)


def _say_half_day(half: str | None, match: re.Match) -> str:
    return f" {half.upper()}-M{_stop(match) if match[0].endswith('.') else ''}" if half else ""


# ---- money and units


def _say_money(sign: str, amount: str, scale: str | None) -> str:
    one, many, cent, cents = vocab.CURRENCIES[sign]
    if scale:
        return f"{number(amount)} {vocab.SCALES.get(scale, scale)} {many}"
    whole, _, hundredths = amount.replace(",", "").partition(".")
    if len(hundredths) != 2 or not cent:
        return f"{number(amount)} {one if amount == '1' else many}"
    large = (
        f"{integer(whole)} {one if whole == '1' else many}" if whole.strip("0") or hundredths == "00" else ""
    )
    small = (
        f"{cardinal(int(hundredths))} {cent if hundredths == '01' else cents}" if hundredths != "00" else ""
    )
    return " and ".join(filter(None, (large, small)))


def _say_money_range(match: re.Match) -> str:
    sign, low, high, scale = match.groups()
    low = number(low) + (f" {vocab.SCALES.get(scale, scale)}" if scale and "." not in low else "")
    return f"{low} to {_say_money(sign, high, scale)}"


def _say_unit(match: re.Match) -> str:
    """A number with its unit; after a hyphen the unit is an adjective and stays in the singular."""
    amount, between, unit = match[1], match[2], vocab.UNITS[match[3]]
    if between == "-" or amount == "1" or unit in vocab.UNCHANGING:
        return f"{number(amount)} {unit}"
    first, rest = (
        (unit.split(" ", 1) + [""])[:2] if " per " in unit or unit.startswith("degree") else (unit, "")
    )
    many = "feet" if first == "foot" else plural(first)
    return f"{number(amount)} {many} {rest}".rstrip()


# ---- abbreviations


def _say_abbreviation(match: re.Match) -> str:
    key = match[1].lower()
    if key in vocab.CAPITAL_ONLY and match[1].islower():
        return match[0]
    said = vocab.ABBREVIATIONS[key]
    stop = "" if key in vocab.NO_SENTENCE_END else _stop(match)
    return (said[0].upper() + said[1:] if match[1][0].isupper() else said) + stop


def _say_title(match: re.Match) -> str:
    said = vocab.ABBREVIATIONS[match[1].lower()]
    return said[0].upper() + said[1:]


def _say_saint_or_street(match: re.Match) -> str:
    """St. and Dr. are a street's after a name and before no other name, else a saint's and a doctor's."""
    before = re.search(
        r"([A-Z][\w']*|\d(?:st|nd|rd|th)) $", match.string[max(0, match.start() - 30) : match.start()]
    )
    following = re.match(r" [A-Z][a-zÀ-ɏ']", match.string[match.end() : match.end() + 3])
    if following and not (before and _stop(match)):
        return "Saint" if match[1] == "St" else "Doctor"
    if before and match[0].endswith("."):
        return ("Street" if match[1] == "St" else "Drive") + _stop(match)
    return match[0] if match[1] == "St" else "Doctor" + _stop(match)


def _say_letters(match: re.Match) -> str:
    """Letters with full stops: U.S. becomes U-S."""
    return spell("".join(re.findall(rf"[{_LETTER}]", match[0]))) + (
        _stop(match) if match[0].endswith(".") else ""
    )


def _rule(pattern: str, say: str | Callable[[re.Match], str], flags: int = 0) -> tuple[re.Pattern, object]:
    return re.compile(pattern, flags), say


_ADDRESSES = (
    _rule(r"\b(?:https?://|ftp://|www\.)[^ <>\"]+", _say_address, re.IGNORECASE),
    _rule(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", _say_address),
    _rule(
        rf"(?<![\w.@/-])[\w-]+(?:\.[\w-]+)*\.(?:{vocab.DOMAINS}|{vocab.FILES})(?![\w-])(?:/[^ <>\"]*)?",
        _say_address,
    ),
)
_GROUPED = (
    _rule(r"(?<![\w.-])(?:\+?\d{1,3}[ .-])?\(\d{3}\) ?\d{3}[ .-]\d{4}(?![\w-])", _say_groups),
    _rule(r"(?<![\w.-])(?:\+?\d{1,3}[ .-])?\d{3}([.-])\d{3}\1\d{4}(?![\w-])", _say_groups),
    _rule(r"(?<![\w.-])\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,6}(?![\w-])", _say_groups),
    _rule(r"(?<![\w.-])\d{3}-\d{4}(?![\w-])", _say_groups),
    _rule(rf"(?<![\w./-])(\d{{4}})[-/](0[1-9]|1[0-2])[-/]({_DAY})(?![\w/-])", _say_iso_date),
    _rule(r"(?<![\w./-])\d+(?:-\d+){2,}(?![\w-])", _say_groups),
    _rule(rf"(?<![\w./])({_DAY})/({_DAY})/(\d{{4}}|\d\d)(?![\w/])", _say_slash_date),
    _rule(
        r"\b((?:extension|pin|code|password)(?: number| is|:)?) (\d{3,8})(?![\w.,]\d)",
        lambda m: f"{m[1]} {digits(m[2])}", re.IGNORECASE,
    ),
)  # fmt: skip
_NUMBERS = (
    _rule(r"\b(\d+) ?ft\.? (\d{1,2}) ?in\b", r"\1 feet \2 inches"),
    _rule(r"\b(\d)['] ?(\d{1,2})(?:\"|'')", r"\1 feet \2 "),
    _rule(
        rf"([$£€¥])({_NUM}) ?[-–] ?\1?({_NUM})(?: ?({_SCALE}|bn|[kKmMB])\b)?", _say_money_range
    ),
    _rule(r"(?<=\d) - (?=\d+ ?=)", " minus "),
    _rule(r"(\d(?: ?[AaPp]\.?[Mm]\b\.?|%|st|nd|rd|th)?) ?(?:-|–|—| – ) ?(?=[$£€]?\d)", r"\1 to "),
    _rule(r"(?<![\w)])[-–](?=(?:[$£€¥])?\.?\d)", " minus "),
    _rule(rf"\b({_MONTH}) ({_DAY})(?:st|nd|rd|th)?\b(?!:)(?:,? (\d{{4}})(?![\w:]))?", _say_month_first),
    _rule(
        rf"(?:\b[Tt]he )?{_BEGIN}({_DAY})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\b(?:,? (\d{{4}})(?![\w:]))?",
        _say_day_first,
    ),
    _rule(
        r"(?<![\w:.,])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?: ?([AaPp])\.? ?[Mm]\b\.?)?(?![\d:])",
        _say_time,
    ),
    _rule(r"(?<![\w:.,])(0?[1-9]|1[0-2]) ?([AaPp])(?:[Mm]\b|\.[Mm]\.?(?!\w))", _say_hour),
    _rule(
        rf"({_SIGN}) ?({_NUM})(?: ?({_SCALE})|({'|'.join(vocab.SCALES)}))?(?!\w)",
        lambda m: " " + _say_money(m[1], m[2], m[3] or m[4]),
    ),
    _rule(
        rf"{_BEGIN}({_NUM})(?: ({_SCALE}))? ?({_SIGN})(?!\w)", lambda m: _say_money(m[3], m[1], m[2]) + " "
    ),
    _rule(r"(?<![\w.,])(\d{4}|\d{2})'?s(?![\w'])", lambda m: _say_decade(m) if m[1][-1] == "0" else m[0]),
    _rule(rf"{_BEGIN}([48])K(?!\w)", r"\1 K"),
    _rule(rf"{_BEGIN}(\d+(?:\.\d+)?)(K|k|M|bn)(?!\w)", lambda m: f"{m[1]} {vocab.SCALES[m[2]]}"),
    _rule(rf"{_BEGIN}({_NUM})( ?|-)({_UNIT})(?![\w'°-])(?:\.(?= [a-z]))?", _say_unit),
    _rule(
        r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)(?!\w)",
        lambda m: ordinal(integer(m[1])), re.IGNORECASE,
    ),
    _rule(r"(?<![\d.,])\d+(?:\.\d+){2,}", _say_version),
    _rule(r"(?<![\w./,])(?:(\d+)[ -])?(\d{1,3})/(\d{1,3})(?![\w/])", _say_fraction),
    _rule(r"(?<=\d) ?: ?(?=\d)", " to "),
    _rule(r"(?<=\d) ?[x×] ?(?=\d)", " by "),
    _rule(r"(?<=\d) ?\* ?(?=\d)", " times "),
    _rule(r"(?<=\d) ?/ ?(?=\d)", " over "),
    _rule(r"(?<=\d) ?\^ ?(?=\d)", " to the power of "),
    _rule(r"(?<=\w) ?< ?(?=\d)", " less than "),
    _rule(r"(?<=\w) ?> ?(?=\d)", " greater than "),
    _rule(r"~ ?(?=\d)", " about "),
    _rule(r"\b[Nn]os?\.? ?#?(?=\d)|#(?=\d)", " number "),
    _rule(r"\bpp\.? ?(?=\d)", " pages "),
    _rule(r"\bp\. ?(?=\d)", " page "),
    _rule(r"(?<=\d)x\b", " times "),
    _rule(rf"(?<=[{_LETTER}])-?(?=\d)|(?<=\d)(?=[{_LETTER}])", " "),
    _rule(r"(\d)'s\b", r"\1s"),
    _rule(r"(?<!\d)(\d+) s\b", lambda m: plural(_say_year_or_number(m[1]))),
    _rule(_NUM, lambda m: _say_year_or_number(m[0])),
)  # fmt: skip
DIGIT_RULES = (*_ADDRESSES, *_GROUPED, *_NUMBERS)
WORD_RULES = (
    *_ADDRESSES,
    _rule(r"\be\. ?g\.,?", "for example", re.IGNORECASE),
    _rule(r"\bi\. ?e\.,?", "that is", re.IGNORECASE),
    _rule(r"\bPh\.? ?D\b\.?", lambda m: "P-H-D" + (_stop(m) if m[0].endswith(".") else "")),
    _rule(rf"(?<![\w.'-])[{_LETTER}](?:\.[{_LETTER}])+(?![{_LETTER}'-])\.?", _say_letters),
    _rule(r"(?<![\w.'-])([A-HJ-Z])\. ?(?=[A-Z](?:[a-z']|\.))", r"\1 "),
    _rule(r"(?<![\w.'-])(St|Dr)\b\.?(?!\w)", _say_saint_or_street),
    _rule(rf"(?<![\w.'-])({'|'.join(vocab.ABBREVIATIONS)})\.(?!\w)", _say_abbreviation, re.IGNORECASE),
    _rule(r"(?<![\w.'-])(Mr|Mrs|Ms|Prof|Jr|Sr)(?![\w.'-])", _say_title),
    _rule(r"\bvs\b", "versus"),
    _rule(r"\b([A-Z]{1,3}) ?& ?([A-Z]{1,2})\b", lambda m: f"{spell(m[1])} and {spell(m[2])}"),
    _rule(r"\b([A-Z])\+\+", r"\1 plus plus"),
    _rule(r"\b([A-Z])#", r"\1 sharp"),
    _rule(r"\b[Ww]/o\b", " without "),
    _rule(r"\b[Ww]/ ?(?=\w)", " with "),
    _rule(r"\band/or\b", "and or"),
    _rule(rf"#(?=[{_LETTER}])", " hashtag "),
    _rule(r"([=+*#_~<>|/\\^&@%$-])\1{2,}", " — "),
    _rule(rf"(?<=[{_LETTER}])/(?=[{_LETTER}])", " slash "),
    _rule(r"(?<= )-(?= )", "—"),
    _rule("–", "—"),
    _rule(r"[)\]}]+$", ""),
    _rule(r"[()\[\]{}|]+", ", "),
    _rule(
        f"[{re.escape(''.join(sorted(set(vocab.SYMBOLS) - set('#'))))}]", lambda m: f" {vocab.SYMBOLS[m[0]]} "
    ),
)
