"""Phones: the contract of the sequence, the words within it, and the user's own pronunciations."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latent_tts.errors import UserError
from latent_tts.text import phonemes as module
from latent_tts.text.normalize import normalize
from latent_tts.text.phonemes import Phonemizer
from latent_tts.text.symbols import SymbolTable

TABLE = SymbolTable.english()
SEPARATORS = set(SymbolTable.SEPARATORS)


@pytest.fixture(scope="module")
def phonemize():
    return Phonemizer()


def said(phonemize, text):
    return " ".join(phonemize(text))


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("Hi, Bob.", "_ h ˈaɪ , b ˈɑː b ."),
        ("hello world", "_ h ə l ˈoʊ _ w ˈɜː l d _"),
        ("the end of the car", "_ ð ɪ _ ˈɛ n d _ ʌ v _ ð ə _ k ˈɑːɹ _"),
        ("What?! — Yes…", "_ w ˌʌ t ? j ˈɛ s …"),
        (", ... Go; now: go!", "_ ɡ ˈoʊ ; n ˈaʊ : ɡ ˈoʊ !"),
        ("the Polish polish", "_ ð ə _ p ˈoʊ l ɪ ʃ _ p ˈɑː l ɪ ʃ _"),
        ("a plan A", "_ ɐ _ p l ˈæ n _ ˈeɪ _"),
        ("an F-B-I A-I", "_ ɐ n _ ˌɛ f b ˌiː ˈaɪ _ ˌeɪ ˈaɪ _"),
        ("C-E-O's", "_ s ˌiː ˌiː ˈoʊ z _"),
        ("Loch Llanelli", "_ l ˈɑː k _ l æ n ˈɛ l i _"),
        ("quiet fire", "_ k w ˈaɪ ə t _ f ˈaɪ ɚ _"),
        ("THE CAR", "_ ð ə _ k ˈɑːɹ _"),
        ("xi", "_ z ˈaɪ _"),
    ],
)
def test_tokens_of_a_sentence(phonemize, text, tokens):
    assert said(phonemize, text) == tokens


WORDS = (
    "of the and out to be for a in it is as I am has been that has there are dog Bach zwölf naïve rock'n'roll "
    "o'clock well-known U-S xi xq mmm 'tis goin' DVD I'm déjà brr hmm"
).split()
TEXTS = st.lists(st.sampled_from(WORDS + [",", ".", "!", "?", "…", "—", ";", ":"]), max_size=60).map(" ".join)


@given(TEXTS | st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_one_separator_between_words_and_only_symbols_of_the_table(phonemize, text):
    try:
        tokens = phonemize(text)
    except UserError as error:
        assert "nothing to speak" in str(error)
        return
    assert all(token in TABLE for token in tokens)
    breaks = [i for i, token in enumerate(tokens) if token in SEPARATORS]
    assert tokens[0] == "_" and tokens[-1] in SEPARATORS
    words = phonemize.words(text)
    between = [tokens[i + 1 : j] for i, j in zip(breaks, breaks[1:], strict=False)]
    assert between == [phones for _, phones in words]
    assert all(between)


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_whatever_is_normalised_can_be_said(phonemize, text):
    text = normalize(text)
    if text:
        assert TABLE.ids(phonemize(text))


def test_words_that_espeak_runs_together_are_given_their_own_phones(phonemize):
    words = phonemize.words("He is one of the men who has been out of it for a day, as it is.")
    assert [
        word for word, _ in words
    ] == "He is one of the men who has been out of it for a day as it is".split()
    by_word = {word: "".join(phones) for word, phones in words}
    assert by_word["of"] in ("ʌv", "əv") and by_word["the"] == "ðə" and by_word["a"] in ("ə", "ɐ")
    assert by_word["been"][0] == "b" and by_word["for"][0] == "f"


def test_words_run_together_keep_their_weak_forms(phonemize):
    """Said alone, "am" would be æ m."""
    assert phonemize.words("I am going out of the house.")[1] == ("am", ["ɐ", "m"])


@pytest.mark.parametrize("text", ["", " ", "...", "🍕", "日本語", "'", "-", "\x00", "?!"])
def test_nothing_to_speak(phonemize, text):
    with pytest.raises(UserError, match="nothing to speak"):
        phonemize(text)


def test_long_texts_take_linear_time_and_keep_their_words(phonemize):
    start = time.process_time()
    assert len(phonemize.words("of the and for a " * 2000)) == 10_000
    assert phonemize("a" * 20_000)
    assert phonemize("a-" * 20_000)
    assert time.process_time() - start < 10


def test_a_batch_is_its_sentences(phonemize):
    texts = ["One of them.", "Two, of the others!", "Three"]
    assert phonemize.batch(texts) == [phonemize(text) for text in texts]


def test_thousands_of_sentences_take_seconds(phonemize):
    texts = [f"This is one of the sentences, and {word} is in it for a while." for word in WORDS * 20]
    start = time.process_time()
    phonemize.batch(texts)
    assert (time.process_time() - start) / len(texts) < 0.005


def test_several_threads_hear_the_same():
    texts = [f"One of the {word} is here, {word}." for word in WORDS]
    module._alone.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: Phonemizer().batch(texts), range(8)))
    assert all(result == results[0] for result in results)


def test_a_table_without_a_symbol_gets_its_neighbour():
    symbols = [s for s in TABLE.symbols if s not in ("ˌoʊ", "ɾ", "ŋ", "…", "!", "n̩", "ʔ")]
    phonemize = Phonemizer(SymbolTable(tuple(symbols)))
    for text in ("Going to a city…", "a rotating button!", "typewritten"):
        assert set(phonemize(text)) <= set(symbols)
    assert said(phonemize, "hi!") == "_ h ˈaɪ _"


@pytest.mark.parametrize(
    "phone, near",
    [("ˈiːː", ("ˈiː",)), ("ɬ", ("l",)), ("ɔ̃", ("ɔ",)), ("ˈə", ("ˈʌ",)), ("ˌn̩", ("n̩",)), ("ˌaɪɚ", ("ˌaɪ", "ɚ")),
     ("ˈe", ("ˈeɪ",)), ("ts", ("t", "s")), ("☃", ())],
)  # fmt: skip
def test_a_phone_of_another_language_becomes_an_english_one(phonemize, phone, near):
    assert phonemize._fit(phone) == near


# ---- lexicon


def test_a_lexicon_overrides_single_words(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("# mine\n\nGIF\tdʒ ˈɪ f\nsql  s ˈiː k w əl\nthe ð ə\n", "utf-8")
    phonemize = Phonemizer(lexicon=path)
    assert said(phonemize, "the end, Gif gif's") == "_ ð ə _ ˈɛ n d , dʒ ˈɪ f _ ɡ ˈɪ f s _"
    assert said(phonemize, normalize("SQL")) == "_ s ˈiː k w əl _"


@pytest.mark.parametrize(
    "line, problem",
    [
        ("gif dʒ ˈɪ Q", "line 2: 'Q' is not a phone"),
        ("gif", "line 2: 'gif' has no phones"),
        ("gif dʒ _ f", "line 2: '_' is not a phone"),
        ("gif <pad>", "line 2: '<pad>' is not a phone"),
        ("mp3 ˈɛ m", "line 2: 'mp3' is not one word of letters"),
    ],
)
def test_a_lexicon_with_a_mistake_is_refused(tmp_path, line, problem):
    path = tmp_path / "lexicon.txt"
    path.write_text(f"a ˈeɪ\n{line}\n", "utf-8")
    with pytest.raises(UserError) as error:
        Phonemizer(lexicon=path)
    assert problem in str(error.value) and "\n" not in str(error.value)


def test_a_lexicon_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UserError, match="not UTF-8"):
        Phonemizer(lexicon=tmp_path / "binary")
    with pytest.raises(UserError, match="cannot read the lexicon"):
        Phonemizer(lexicon=tmp_path / "none")


# ---- espeak-ng


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_does_not_load_phonemizer():
    code = "import sys, latent_tts.text.phonemes; print({'phonemizer', 'espeakng_loader'} & set(sys.modules))"
    assert run(code).stdout.strip() == "set()"


def test_espeak_is_silent_and_works_from_a_long_path(tmp_path):
    """espeak-ng ends the process when the path of its data is long, as in a deep virtual environment."""
    code = f"""
import os, shutil, espeakng_loader
data = os.path.join({str(tmp_path)!r}, "x" * 100, "y" * 100, "espeak-ng-data")
shutil.copytree(espeakng_loader.get_data_path(), data)
espeakng_loader.get_data_path = lambda: data
from latent_tts.text.phonemes import Phonemizer
print(Phonemizer()("hi"))
"""
    done = run(code)
    assert done.stdout.strip() == "['_', 'h', 'ˈaɪ', '_']" and done.stderr == ""


def test_a_missing_espeak_is_one_clear_line():
    code = """
import sys
sys.modules["espeakng_loader"] = None
from latent_tts.errors import UserError
from latent_tts.text.phonemes import Phonemizer
try:
    Phonemizer()("hi")
except UserError as error:
    print(error)
"""
    assert "espeak-ng does not load" in run(code).stdout
