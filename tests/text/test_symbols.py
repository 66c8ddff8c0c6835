"""The symbol table: a file and a contract."""

import pytest

from latent_tts.errors import UserError
from latent_tts.text.symbols import SymbolTable, stronger


def test_the_english_table_keeps_its_contract():
    table = SymbolTable.english()
    assert table.symbols[0] == "<pad>" and table.ids(["<pad>", "_"]) == [0, 1]
    assert set(table.SEPARATORS) <= set(table.symbols)
    for vowel in ("iː", "æ", "oʊ", "ɑːɹ"):
        assert {vowel, "ˈ" + vowel, "ˌ" + vowel} <= set(table.symbols)
    assert len(table) == len(set(table.symbols))
    assert all(table.ids([symbol]) == [i] for i, symbol in enumerate(table.symbols))


def test_it_is_read_as_it_was_written(tmp_path):
    table = SymbolTable(("<pad>", "_", ".", "ˈoʊ", "n̩"))
    table.write(tmp_path / "phones.txt")
    assert SymbolTable.read(tmp_path / "phones.txt") == table
    assert (tmp_path / "phones.txt").read_text("utf-8").splitlines()[3] == "ˈoʊ"
    assert [path.name for path in tmp_path.iterdir()] == ["phones.txt"]


def test_an_unknown_symbol_is_named():
    with pytest.raises(UserError, match="no 'ɬ'"):
        SymbolTable.english().ids(["_", "ɬ"])


@pytest.mark.parametrize(
    "content, problem",
    [
        (b"", "first line must be <pad>"),
        (b"_\n<pad>\n", "first line must be <pad>"),
        (b"<pad>\n_\na\n\nb\n", "line 4"),
        (b"<pad>\n_\na b\n", "line 3"),
        (b"<pad>\n_\na\na\n", "line 4 repeats the symbol 'a'"),
        (b"<pad>\na\n", "word space '_' is missing"),
        (b"\x93NUMPY\x01\xff\xfe", "not UTF-8"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(tmp_path, content, problem):
    path = tmp_path / "phones.txt"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        SymbolTable.read(path)
    assert problem in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(UserError, match="cannot read the symbol table"):
            SymbolTable.read(path)


def test_windows_line_ends_do_not_matter(tmp_path):
    (tmp_path / "phones.txt").write_bytes(b"<pad>\r\n_\r\na\r\n")
    assert SymbolTable.read(tmp_path / "phones.txt").symbols == ("<pad>", "_", "a")


def test_the_stronger_of_two_pauses_is_heard():
    assert stronger("_", ",") == "," and stronger("!", ".") == "!" and stronger("—", ";") == ";"
