"""The symbol table of a model: a text file with one symbol per line; the line's number, from 0, is its id."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import ClassVar

from latent_tts.errors import UserError
from latent_tts.files import write_whole

PAD = "<pad>"
WORD_SPACE = "_"
PAUSE_MARKS = (",", "—", ":", ";", "…", ".", "!", "?")  # from the weakest to the strongest


def stronger(one: str, other: str) -> str:
    """The one of two separators that is heard when both stand together."""
    return max(one, other, key=SymbolTable.SEPARATORS.index)


@dataclass(frozen=True)
class SymbolTable:
    """Symbols by id: id 0 is "<pad>" and the word space "_" is among them. UserError for any other list."""

    SEPARATORS: ClassVar[tuple[str, ...]] = (WORD_SPACE, *PAUSE_MARKS)
    RESERVED: ClassVar[tuple[str, ...]] = (PAD, *SEPARATORS)  # the symbols that are not phones

    symbols: tuple[str, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "symbols", tuple(self.symbols))
        object.__setattr__(self, "_index", {symbol: i for i, symbol in enumerate(self.symbols)})
        problem = _problem(self.symbols)
        if problem:
            raise UserError(f"symbol table: {problem}")

    @classmethod
    def english(cls) -> SymbolTable:
        """The table that the package ships, for espeak-ng's American English phones."""
        return cls(tuple(resources.files(__package__).joinpath("phones.txt").read_text("utf-8").splitlines()))

    @classmethod
    def read(cls, path: str | os.PathLike) -> SymbolTable:
        """Read a phones.txt; UserError when it is missing, is not UTF-8 or is malformed."""
        try:
            text = Path(path).read_text("utf-8")
        except OSError as error:
            raise UserError(f"cannot read the symbol table {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"{path} is not a symbol table: it is not UTF-8 text") from None
        lines = text.split("\n")
        if lines and not lines[-1]:
            lines.pop()
        try:
            return cls(tuple(line.removesuffix("\r") for line in lines))
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def write(self, path: str | os.PathLike) -> None:
        """Write the table, one symbol per line, whole or not at all; UserError where that cannot be done."""
        write_whole(path, "".join(f"{symbol}\n" for symbol in self.symbols).encode())

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """The id of each token; UserError names the first one that the table lacks."""
        try:
            return [self._index[token] for token in tokens]
        except KeyError as error:
            raise UserError(
                f"the symbol table has no {error.args[0]!r}: use the phones.txt that made these phones"
            ) from None

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._index

    def __len__(self) -> int:
        return len(self.symbols)


def _problem(symbols: tuple[str, ...]) -> str | None:
    """What is wrong with a list of symbols, in one line, or None."""
    if not symbols or symbols[0] != PAD:
        return f"the first line must be {PAD}"
    seen: set[str] = set()
    for number, symbol in enumerate(symbols, 1):
        if not symbol or any(char.isspace() or not char.isprintable() for char in symbol):
            return f"line {number} must hold one symbol without spaces, but holds {symbol[:40]!r}"
        if symbol in seen:
            return f"line {number} repeats the symbol {symbol!r}"
        seen.add(symbol)
    return None if WORD_SPACE in seen else f"the word space {WORD_SPACE!r} is missing"
