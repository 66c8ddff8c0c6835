"""Phones of normalised English: espeak-ng's American voice, word by word, with pauses at the punctuation."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from latent_tts.errors import UserError
from latent_tts.text.symbols import PAUSE_MARKS, WORD_SPACE, SymbolTable, stronger

_LETTER = "[A-Za-z0-9À-ÖØ-öø-ɏ]"
_WORD = rf"'?{_LETTER}{{1,40}}(?:[-']{_LETTER}{{1,40}}){{0,20}}'?"
_TOKEN = re.compile(rf"{_WORD}|[{''.join(PAUSE_MARKS)}]")
_LEXICON_WORD = re.compile(r"(?!.*\d)" + _WORD)
_SPELLED = re.compile(r"([A-Z](?:-[A-Z])+)('?s)?")
_LIKE_ROMAN = re.compile(r"[mdclxvi]{2,}")
_LANGUAGE_FLAG = re.compile(r"\([^)]*\)")
_WORDS_AT_ONCE = 40  # espeak gets at most so many in one go, which bounds the work of dividing what it says
_WORDS_IN_ONE = 4  # espeak runs at most so many small words together, as in "as it is"
_LONGEST_DATA_PATH = 130  # bytes; espeak-ng 1.52 ends the whole process when its data path has 160 or more
_VOWELS = frozenset("aeiouyæøœɐɑɒɔəɚɛɜɨɪɯʉʊʌᵻ")
# Phones outside the English table: other languages', rare lengths or stresses, diphthongs of two phones.
_NEIGHBOURS = {
    "aɪə": ("aɪ", "ə"), "aɪɚ": ("aɪ", "ɚ"), "aʊɚ": ("aʊ", "ɚ"), "iə": ("iː", "ə"), "ts": ("t", "s"),
    "dz": ("d", "z"), "pf": ("p", "f"), "ʎ": ("l", "j"), "ɲ": ("n", "j"),
    **{phone: (near,) for near, phones in {
        "æ": "a ææ", "eɪ": "e", "oʊ": "o", "uː": "u y ʉ ɯ", "iː": "i", "ɪ": "ɨ ᵻ", "ɑː": "ɑ ɒ",
        "ɜː": "ɚ ɜ ø œ", "ʌ": "ə ɐ", "ɐ": "ɐɐ", "ɹ": "r ʁ ɻ", "k": "x χ c q", "ɡ": "g ɣ", "h": "ç ɦ ħ",
        "l": "ɬ ɫ", "f": "ɸ", "v": "β ʋ", "w": "ʍ", "ʃ": "ɕ ʂ", "ʒ": "ʑ ʐ", "dʒ": "ɟ",
    }.items() for phone in phones.split()},
}  # fmt: skip


class Word(NamedTuple):
    """A word as written and the separator that follows it: "_" or a pause mark."""

    text: str
    after: str


class Phonemizer:
    """Text to phone tokens in the symbols of `symbols` (default: the English table of the package).

    `lexicon` is a file of the user's own pronunciations (see `read_lexicon`). espeak-ng comes from the
    espeakng-loader wheel; calls from several threads take turns. UserError for a lexicon that cannot be used.
    """

    def __init__(self, symbols: SymbolTable | None = None, lexicon: str | os.PathLike | None = None):
        self.symbols = symbols or SymbolTable.english()
        self.lexicon = read_lexicon(lexicon, self.symbols) if lexicon is not None else {}
        self._fitted: dict[str, tuple[str, ...]] = {}

    def __call__(self, text: str) -> list[str]:
        """Tokens of one normalised sentence: "Hi, Bob." gives _ h ˈaɪ , b ˈɑː b .

        The first token is "_", the last a separator, and one separator stands between two words. UserError
        when there is nothing to speak.
        """
        tokens = [WORD_SPACE]
        for word, phones in self._spoken(text):
            tokens += phones
            tokens.append(word.after if word.after in self.symbols else WORD_SPACE)
        return tokens

    def batch(self, texts: Iterable[str]) -> list[list[str]]:
        """Tokens of each of many normalised sentences, as calling one by one; thousands take seconds."""
        return [self(text) for text in texts]

    def words(self, text: str) -> list[tuple[str, list[str]]]:
        """Each spoken word as it stands in the normalised text with its phones, without separators.

        The k-th word here is the one between the k-th and the next separator of `self(text)`.
        """
        return [(word.text, list(phones)) for word, phones in self._spoken(text)]

    def _spoken(self, text: str) -> list[tuple[Word, tuple[str, ...]]]:
        """Every word that has phones, with them; a word without any hands its pause to the word before."""
        spoken: list[tuple[Word, tuple[str, ...]]] = []
        for clause in _clauses(text):
            for word, phones in zip(clause, self._pronounce([word.text for word in clause]), strict=True):
                if phones:
                    spoken.append((word, phones))
                elif spoken:
                    last, last_phones = spoken[-1]
                    spoken[-1] = (Word(last.text, stronger(last.after, word.after)), last_phones)
        if not spoken:
            raise UserError(f"nothing to speak in {text[:60]!r}: give at least one word in Latin letters")
        return spoken

    def _pronounce(self, words: list[str]) -> list[tuple[str, ...]]:
        """Phones of each word of a clause in the symbols of the table."""
        fluent = _pronounce_clause(tuple(map(_for_espeak, words)))
        return [self._pronounce_word(words, i, fluent[i]) for i in range(len(words))]

    def _pronounce_word(self, words: list[str], i: int, fluent: tuple[str, ...]) -> tuple[str, ...]:
        """The user's own phones, the letters of a spelled word, or `fluent`: what espeak says here."""
        spelled = _SPELLED.fullmatch(words[i])
        own = self.lexicon.get((words[i].replace("-", "") if spelled else words[i]).lower())
        if own:
            return own
        if spelled:
            fluent = _spell(spelled[1].split("-"), plural=bool(spelled[2]))
        elif words[i] == "A" and i and (i + 1 == len(words) or words[i + 1].islower()):
            fluent = _alone("a")  # the letter, as in "plan A" and "vitamin A is"
        return tuple(symbol for phone in fluent for symbol in self._fit(phone))

    def _fit(self, phone: str) -> tuple[str, ...]:
        """The symbols of the table for an espeak phone: itself, or else its English neighbours, or none."""
        if phone not in self._fitted:
            self._fitted[phone] = _fit(phone, self.symbols)
        return self._fitted[phone]


def read_lexicon(path: str | os.PathLike, symbols: SymbolTable) -> dict[str, tuple[str, ...]]:
    """Word (lower case) -> phones from lines `word<TAB or spaces>phones...`; "#" begins a comment line.

    A word stands as in normalised text (no digits); an initialism is written without hyphens. UserError for a
    file that cannot be read, and with the line's number for a line that cannot be used.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"cannot read the lexicon {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a lexicon: it is not UTF-8 text") from None
    lexicon = {}
    for number, line in enumerate(lines, 1):
        word, *phones = line.split() or ["#"]
        if word.startswith("#"):
            continue
        word = unicodedata.normalize("NFC", word.replace("\u2019", "'")).lower()
        problem = _lexicon_problem(word, phones, symbols)
        if problem:
            raise UserError(f"{path}, line {number}: {problem}")
        lexicon[word] = tuple(phones)
    return lexicon


def _lexicon_problem(word: str, phones: list[str], symbols: SymbolTable) -> str | None:
    """What is wrong with a line of a lexicon, or None."""
    if not _LEXICON_WORD.fullmatch(word):
        return f"{word[:40]!r} is not one word of letters; write it as it is spoken"
    if not phones:
        return f"{word!r} has no phones; write the word, a space and its phones"
    unknown = [phone for phone in phones if phone not in symbols or phone in symbols.RESERVED]
    return f"{unknown[0]!r} is not a phone; write {word!r} with the phones of phones.txt" if unknown else None


def _clauses(text: str) -> list[list[Word]]:
    """Words with what follows each; a clause ends at a pause mark or after _WORDS_AT_ONCE words."""
    clauses: list[list[Word]] = [[]]
    for token in _TOKEN.findall(unicodedata.normalize("NFC", text)):
        clause = clauses[-1]
        if token in PAUSE_MARKS:
            if clause:
                clause[-1] = Word(clause[-1].text, stronger(clause[-1].after, token))
        elif clause and clause[-1].after != WORD_SPACE or len(clause) == _WORDS_AT_ONCE:
            clauses.append([Word(token, WORD_SPACE)])
        else:
            clause.append(Word(token, WORD_SPACE))
    return clauses if clauses[-1] else []


def _for_espeak(word: str) -> str:
    """A word in the case that makes espeak read it as a word.

    It knows "Polish" from "polish" and "I am" from "i am", but spells capitals and reads "xi" as a number.
    """
    if _LIKE_ROMAN.fullmatch(word):
        return word.capitalize()
    return word if word != "A" and word[1:] == word[1:].lower() else word.lower()


def _spell(letters: list[str], plural: bool) -> tuple[str, ...]:
    """Phones of an initialism: the last letter carries the stress, and its s is said as English says it."""
    phones = [phone.replace("ˈ", "ˌ") for letter in letters[:-1] for phone in _alone(letter.lower())]
    phones += _alone(letters[-1].lower())
    if plural:
        phones += ["ᵻ", "z"] if phones[-1] in ("s", "tʃ") else ["s"] if phones[-1] == "f" else ["z"]
    return tuple(phones)


def _fit(phone: str, symbols: SymbolTable) -> tuple[str, ...]:
    """The symbols nearest to `phone`, with its stress where they can carry it; none when nothing is near."""
    bare = phone.lstrip("ˈˌ")
    stress = phone[: len(phone) - len(bare)][:1]
    plain = "".join(char for char in unicodedata.normalize("NFD", bare) if not unicodedata.combining(char))
    for candidate in dict.fromkeys((bare, plain, plain.rstrip("ː"), plain[:1])):
        for head in dict.fromkeys((stress, "")):
            for parts in ((candidate,), _NEIGHBOURS.get(candidate, ())):
                found = tuple(head * (i == 0) + part for i, part in enumerate(parts))
                if found and all(symbol in symbols for symbol in found):
                    return found
    return ()


_lock = threading.RLock()  # espeak keeps its state in global variables


def _espeak(text: str) -> list[tuple[str, ...]]:
    """What espeak-ng's American voice says: a group of phones per word, some small words together."""
    with _lock:
        said = _load_espeak().text_to_phonemes(text)
    groups = (tuple(filter(None, group.split("_"))) for group in _LANGUAGE_FLAG.sub("", said).split())
    return [group for group in groups if group]


@functools.cache
def _load_espeak():
    """The one espeak-ng of this process, made when it is first needed; UserError when it cannot be loaded."""
    try:
        import espeakng_loader
        from phonemizer.backend.espeak.wrapper import EspeakWrapper

        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(_reachable(espeakng_loader.get_data_path()))
        wrapper = EspeakWrapper()
        wrapper.set_voice("en-us")
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        raise UserError(
            f"espeak-ng does not load ({error}): run `pip install --upgrade phonemizer espeakng-loader`"
        ) from None
    return wrapper


def _reachable(data_path: str) -> str:
    """`data_path`, or a copy of its English part under a path short enough for espeak, for this process."""
    if len(os.fsencode(data_path)) <= _LONGEST_DATA_PATH:
        return data_path
    folder = tempfile.mkdtemp(prefix="espeak-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    other_dictionaries = shutil.ignore_patterns("[!e]*_dict", "e[!n]*_dict")
    return shutil.copytree(data_path, os.path.join(folder, "espeak-ng-data"), ignore=other_dictionaries)


@functools.lru_cache(maxsize=50_000)
def _alone(word: str) -> tuple[str, ...]:
    """Phones of one word said by itself."""
    return tuple(phone for group in _espeak(word) for phone in group)


def _pronounce_clause(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Phones of each word in its place in a clause (compare "the end" and "the car").

    espeak may run small words together ("of the" is one group); these are divided again, so that every word
    has its own phones. Where that fails, each word is said by itself.
    """
    groups = _espeak(" ".join(words))
    if len(groups) == len(words):
        return groups
    return _divide(words, groups) or [_alone(word) for word in words]


def _divide(words: tuple[str, ...], groups: list[tuple[str, ...]]) -> list[tuple[str, ...]] | None:
    """Give each group its run of 1 to _WORDS_IN_ONE words at least total cost (dynamic programming), or None.

    After j groups `best[i]` is (cost, how the first i words divide, last first); i - j is at most surplus.
    """
    surplus = len(words) - len(groups)
    best: dict[int, tuple[float, tuple]] = {0: (0.0, ())}
    for j, group in enumerate(groups, 1):
        extended: dict[int, tuple[float, tuple]] = {}
        for i, (cost, before) in best.items():
            for end in range(i + 1, min(i + _WORDS_IN_ONE, j + surplus) + 1):
                more, parts = _share(words[i:end], group)
                if cost + more < extended.get(end, (float("inf"),))[0]:
                    extended[end] = (cost + more, (before, parts))
        best = extended
    if len(words) not in best:
        return None
    runs, trail = [], best[len(words)][1]
    while trail:
        trail, parts = trail
        runs.append(parts)
    return [phones for parts in reversed(runs) for phones in parts]


@functools.lru_cache(maxsize=50_000)
def _share(words: tuple[str, ...], group: tuple[str, ...]) -> tuple[float, tuple[tuple[str, ...], ...]]:
    """Divide a group's phones over words by their cheapest alignment with the words said alone.

    Returns (cost, phones of each word); the cost is infinite where a word would be left without a phone.
    """
    alone = [(phone, owner) for owner, word in enumerate(words) for phone in _alone(word)]
    # rows[i][j] = (cost, step) of the first i phones said alone and the first j of the group;
    # a step is 0 for both, 1 for the one said alone, 2 for the one of the group
    rows = [[(float(j), 2) for j in range(len(group) + 1)]]
    for i, (phone, _) in enumerate(alone):
        row = [(i + 1.0, 1)]
        for j, said in enumerate(group):
            both, one, other = rows[i][j][0] + _difference(phone, said), rows[i][j + 1][0] + 1, row[j][0] + 1
            row.append(min((both, 0), (one, 1), (other, 2)))
        rows.append(row)
    parts: list[list[str]] = [[] for _ in words]
    i, j = len(alone), len(group)
    while i or j:
        step = rows[i][j][1]
        if step != 1:
            parts[alone[max(i - 1, 0)][1] if alone else 0].append(group[j - 1])
        i, j = i - (step != 2), j - (step != 1)
    cost = rows[-1][-1][0] if all(parts) else float("inf")
    return cost, tuple(tuple(reversed(part)) for part in parts)


def _difference(one: str, other: str) -> float:
    """How unlike two phones are, from 0 to 2: stress does not count; a vowel never stands for a consonant."""
    one, other = one.lstrip("ˈˌ"), other.lstrip("ˈˌ")
    if one == other:
        return 0.0
    return 0.6 if (one[:1] in _VOWELS) == (other[:1] in _VOWELS) else 2.0
