"""The normaliser: what is spoken for what is written, whatever is written, and in linear time."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from num2words import num2words

from latent_tts.errors import UserError
from latent_tts.text.normalize import normalize, split_sentences
from latent_tts.text.numbers import cardinal, ordinal, roman, year

SPOKEN = {
    # cardinals, decimals, digit strings
    "0 1 12 20 21 99": "zero one twelve twenty twenty-one ninety-nine",
    "I have 100 or 105.": "I have one hundred or one hundred five.",
    "1,234,567 people": "one million two hundred thirty-four thousand five hundred sixty-seven people",
    "3.14159, .5 and 0.05": "three point one four one five nine, point five and zero point zero five",
    "It fell to -7 degrees.": "It fell to minus seven degrees.",
    "agent 007": "agent zero zero seven",
    "12345678": "one two three four five six seven eight",
    "1000000": "one million",
    "version 3.2.1": "version three point two point one",
    "v2.0.1": "v two point zero point one",
    "192.168.1.1": "one nine two dot one six eight dot one dot one",
    "1,2,3": "one, two, three",
    "٣٤": "thirty-four",
    # ordinals
    "the 1st, 2nd, 3rd and 12th": "the first, second, third and twelfth",
    "her 21st or 103rd": "her twenty-first or one hundred third",
    "the 1,000th time": "the one thousandth time",
    # years and decades
    "in 1066, 1492 and 1905": "in one thousand sixty-six, fourteen ninety-two and nineteen oh five",
    "1900 2000 2004 2010 2024": "nineteen hundred two thousand two thousand four twenty ten twenty "
    "twenty-four",
    "the 1990s, the '80s, the 1900s": "the nineteen nineties, the eighties, the nineteen hundreds",
    "1914-1918": "nineteen fourteen to nineteen eighteen",
    # money
    "$1, $5.50 and $0.99": "one dollar, five dollars and fifty cents and ninety-nine cents",
    "$3.2 million or £4bn": "three point two million dollars or four billion pounds",
    "20€, €1.01, ¥500, 10 USD": "twenty euros, one euro and one cent, five hundred yen, ten U-S dollars",
    "$5k, $1,000.00": "five thousand dollars, one thousand dollars",
    "It costs $5-10.": "It costs five to ten dollars.",
    "-$5": "minus five dollars",
    # units and percent
    "5 km, 1 lb and 16GB": "five kilometers, one pound and sixteen gigabytes",
    "100 km/h or 60 mph": "one hundred kilometers per hour or sixty miles per hour",
    "a 10-km run": "a ten kilometer run",
    "72°F and 22 °C": "seventy-two degrees Fahrenheit and twenty-two degrees Celsius",
    "5 μm, 3 kHz, 2.5 kWh": "five micrometers, three kilohertz, two point five kilowatt hours",
    "6'2\" tall": "six feet two tall",
    "5%, 0.5 % and 5-10%": "five percent, zero point five percent and five to ten percent",
    "10k views, 4K video": "ten thousand views, four K video",
    # times
    "10:30, 10:05 and 12:00": "ten thirty, ten oh five and twelve o'clock",
    "at 5pm or 9 a.m. sharp": "at five P-M or nine A-M sharp",
    "We left at 5 p.m. The end.": "We left at five P-M. The end.",
    "9am-5pm": "nine A-M to five P-M",
    "23:00 and 10:30:15": "twenty-three hundred and ten thirty and fifteen seconds",
    "16:9": "sixteen to nine",
    # dates
    "March 5, 2024": "March fifth, twenty twenty-four",
    "Jan. 1st": "January first",
    "5 March 2024": "the fifth of March, twenty twenty-four",
    "the 4th of July": "the fourth of July",
    "2024-03-05": "March fifth, twenty twenty-four",
    "3/5/2024 or 13/12/99": "March fifth, twenty twenty-four or December thirteenth, nineteen ninety-nine",
    "May 1999": "May nineteen ninety-nine",
    # telephone numbers and other groups
    "(555) 123-4567": "five five five, one two three, four five six seven",
    "555-1234": "five five five, one two three four",
    "+44 20 7946 0958": "plus four four, two zero, seven nine four six, zero nine five eight",
    "1-800-555-0199": "one, eight zero zero, five five five, zero one nine nine",
    "dial extension 8500": "dial extension eight five zero zero",
    # fractions and ranges
    "3/4 of it": "three quarters of it",
    "2 1/2 miles": "two and one half miles",
    "½ cup, 2½ cups, 5/8": "one half cup, two and one half cups, five eighths",
    "24/7, 50/50, 120/80": "twenty-four seven, fifty fifty, one hundred twenty over eighty",
    "pages 10–20": "pages ten to twenty",
    # abbreviations
    "Dr. Smith and Mrs. Jones": "Doctor Smith and Missus Jones",
    "Mr Bean": "Mister Bean",
    "221 Baker St. in St. Louis": "two hundred twenty-one Baker Street in Saint Louis",
    "He lives on Main St. He walks.": "He lives on Main Street. He walks.",
    "Prof. Li, Lt. Col. Bob Jr.": "Professor Li, Lieutenant Colonel Bob Junior.",
    "cats, dogs, etc.": "cats, dogs, et cetera.",
    "cats vs. dogs, e.g. mine, i.e. Tom": "cats versus dogs, for example mine, that is Tom",
    "No. 5, pp. 3-5, #1": "number five, pages three to five, number one",
    "No. I will not.": "No. I will not.",
    "J. K. Rowling, George W. Bush": "J K Rowling, George W Bush",
    # initialisms, shouting, Roman numerals
    "NASA met the FBI": "NASA met the F-B-I",
    "the U.S. Army": "the U-S Army",
    "in the U.S. He left.": "in the U-S. He left.",
    "two CEOs, a CEO's TV": "two C-E-Os, a C-E-O's T-V",
    "a Ph.D. in AI": "a P-H-D in A-I",
    "HE IS OUT OF IT": "he is out of it",
    "THE FBI IS HERE": "the F-B-I is here",
    "That is a BIG dog.": "That is a big dog.",
    "DON'T": "don't",
    "MP3, H2O, COVID-19, F-16": "M-P three, H two O, COVID nineteen, F sixteen",
    "AT&T and R&D": "A-T and T and R and D",
    "Henry VIII and Elizabeth I": "Henry the eighth and Elizabeth the first",
    "Chapter XII of World War II": "Chapter twelve of World War two",
    "chapter iv, Rocky III": "chapter four, Rocky three",
    "the part I like": "the part I like",
    "Pope John Paul II died, as George I think did": "Pope John Paul the second died, as George I think did",
    "6 ft 2 in, CO2": "six feet two inches, C-O two",
    "a CD and a DVD mix": "a C-D and a D-V-D mix",
    # addresses
    "john.doe@example.co.uk": "john dot doe at example dot co dot U-K",
    "See https://www.example.com/a-b.": "See W-W-W dot example dot com slash A dash B.",
    "docs.python.org/3 rocks": "docs dot python dot org slash three rocks",
    "open index.html": "open index dot H-T-M-L",
    # symbols
    "salt & pepper @ home": "salt and pepper at home",
    "5 + 3 = 8; 5 - 3 = 2": "five plus three equals eight; five minus three equals two",
    "2 * 3, 2 x 4, 6 / 2": "two times three, two by four, six over two",
    "x < 5, ~10": "x less than five, about ten",
    "and/or, w/o, he/she": "and or, without, he slash she",
    "C++ and C#": "C plus plus and C sharp",
    "#winning **bold** _it_": "hashtag winning bold it",
    "x² and α": "x squared and alpha",
    # punctuation and characters
    "“Hello,” she said — ‘quietly’…": "Hello, she said — quietly…",
    "Well... what?!": "Well… what?",
    "It’s 'fine', rock-n-roll -- o'clock": "It's fine, rock-n-roll — o'clock",
    "'Tis goin' to 'em": "'Tis goin' to 'em",
    "one (two) [three]": "one, two, three",
    "I ❤️ pizza 🍕!": "I pizza!",
    "café naïve Zürich Nguyễn ﬁne": "café naïve Zürich Nguyen fine",
    "A title\n\nThe text\ngoes on": "A title. The text goes on",
    "...!? ": "",
    "日本語": "",
}  # fmt: skip


@pytest.mark.parametrize("written", SPOKEN)
def test_what_is_written_is_said_so(written):
    assert normalize(written) == SPOKEN[written]


PIECES = st.sampled_from(
    "1 23 007 1999 3.5 1,000 $ £ % ° km 's - – — . , ; : ! ? … ' \" ( ) / @ # & + = * < > ~ _ St. Dr. No. "
    "A. B e.g. p.m. am Mr II IV Henry Chapter March U.S. NASA FBI THE IS the of cat I'm don't 's goin' "
    "http://a.b .com x@y.z 🍕 é ß Ж 日 \u0301 \u200d ½ ² º \u2044 st nd th K s \n \n\n".split(" ")
) | st.sampled_from([" ", "  ", "\n\n", ""])
MIXED = st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=60)


@given(MIXED)
@settings(max_examples=500, deadline=None)
def test_any_text_becomes_words_and_stays_as_it_is(text):
    spoken = normalize(text)
    assert re.fullmatch(r"[A-Za-zÀ-ÖØ-öø-ɏ' ,.;:!?—…-]*", spoken)
    assert "  " not in spoken and spoken == spoken.strip()
    assert not spoken or any(char.isalpha() for char in spoken)
    assert normalize(spoken) == spoken


@given(st.text(alphabet="abc dé,;", max_size=60))
@settings(max_examples=200, deadline=None)
def test_plain_words_are_kept(text):
    letters = re.sub("[^a-zé]", "", text)
    assert re.sub("[^a-zé]", "", normalize(text).replace("-", "").lower()) == letters


@pytest.mark.parametrize("n", [*range(130), *range(900, 2200, 37), 10**6, 10**6 + 1, 987654321, 10**15 - 1])
def test_numbers_agree_with_num2words(n):
    def plain(words):
        return words.replace(",", "").replace(" and ", " ")

    assert cardinal(n) == plain(num2words(n))
    assert ordinal(cardinal(n)) == plain(num2words(n, to="ordinal"))


def test_years_agree_with_num2words():
    for n in [*range(1100, 2000), *range(2010, 2100)]:
        assert year(n).replace("oh ", "oh-") == num2words(n, to="year")


@pytest.mark.parametrize(
    "numeral, value", [("IV", 4), ("XLII", 42), ("MCMXCIV", 1994), ("IIII", None), ("VX", None)]
)
def test_roman_numerals(numeral, value):
    assert roman(numeral) == value


FLOOD = 40_000


@pytest.mark.parametrize(
    "unit",
    ["1", "?!.,", ".", " ", "\n", "a", "A", "a.", "1-", "1,", "(", "$", "'", "- ", "a@", "/", "http://", "🍕"]
    + ["a\u0301", '" ', "1:", "St. ", "1/"],
)
def test_floods_take_linear_time(unit):
    """Four times the text takes about four times as long; quadratic time would take sixteen times."""

    def seconds(size):
        text = unit * (size // len(unit))
        start = time.process_time()
        split_sentences(normalize(text))
        split_sentences(text)
        return time.process_time() - start

    assert seconds(FLOOD) < max(0.25, 9 * seconds(FLOOD // 4))


def test_a_hundred_thousand_digits_are_read_in_seconds():
    start = time.process_time()
    assert normalize("1" * 100_000).count("one") == 100_000
    assert time.process_time() - start < 8


# ---- sentences


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("Hi. How are you? Fine!", ["Hi.", "How are you?", "Fine!"]),
        ("Dr. Smith paid 3.50. He left.", ["Dr. Smith paid 3.50.", "He left."]),
        ("J. K. Rowling writes. So do I. Bye.", ["J. K. Rowling writes.", "So do I.", "Bye."]),
        ('"Stop!" he said. "Why?" she asked.', ['"Stop!" he said.', '"Why?" she asked.']),
        ("Wait… what? no matter… Good.", ["Wait… what? no matter…", "Good."]),
        ("A title\n\nThe text\ngoes on.", ["A title", "The text goes on."]),
        ("Yes. ... Well.", ["Yes. ...", "Well."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_they_should(text, sentences):
    assert split_sentences(text) == sentences


def test_a_long_sentence_is_divided_at_a_clause_near_the_middle():
    first, second = "word " * 12 + "end,", "word " * 12 + "end."
    assert split_sentences(f"{first} {second}", 100) == [first, second]
    assert split_sentences("word " * 30, 60) == ["word word word word word word word word word word"] * 3


@given(MIXED, st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_no_letter_is_lost_and_no_sentence_is_too_long(text, max_chars):
    sentences = split_sentences(text, max_chars)
    assert re.sub(r"\W", "", "".join(sentences)) == re.sub(r"\W", "", text)
    assert all(sentence and len(sentence) <= max_chars for sentence in sentences)


def test_a_sentence_needs_room():
    with pytest.raises(UserError, match="max_chars is 0"):
        split_sentences("Hi.", 0)
