"""What a voice is given to read has words only: a digit or a symbol in it is read wrong, or not at all."""

import csv
import re
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from inserter.text.spoken import CannotRead, max_characters, speakable, spoken_form

with (Path(__file__).parent / "spoken_cases.tsv").open(encoding="utf-8", newline="") as file:
    TABLE = [tuple(row.values()) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
CASES = [
    (
        "13 colonies, 1,234 men and 1,000,000 more",
        "thirteen colonies, one thousand two hundred thirty-four men and one million more",
    ),
    ("On July 4, 1776, it began", "On July fourth, seventeen seventy-six, it began"),
    ("from 4 July 1776 to Sept. 5th, 1850", "from the fourth of July seventeen seventy-six to September fifth, eighteen fifty"),
    ("2001-12-25 or 12/25/2001", "December twenty-fifth, two thousand one or December twenty-fifth, two thousand one"),
    ("in 1905, 2000 and 2010", "in nineteen oh five, two thousand and twenty ten"),
    ("the 1990s, the '60s and 1998's end", "the nineteen nineties, the sixties and nineteen ninety-eight's end"),
    ("1941-45 and 10–20 days", "nineteen forty-one to forty-five and ten to twenty days"),
    ("the 21st century, the 2d of May and the 3rd", "the twenty-first century, the second of May and the third"),
    (
        "$1,234.56, $1.50, $0.25 and $1",
        "one thousand two hundred thirty-four dollars and fifty-six cents, one dollar and fifty cents, "
        "twenty-five cents and one dollar",
    ),
    ("$1.5 billion, £3 million", "one point five billion dollars, three million pounds"),
    ("5% of 3.14", "five percent of three point one four"),
    ("at 5:30 p.m., at 10:00 and at 9:05", "at five thirty P M, at ten o'clock and at nine oh five"),
    ("He left at 5 p.m. Then it rained.", "He left at five P M. Then it rained."),
    ("Mr. Smith, Dr. No and Gen. Lee vs. St. Paul", "Mister Smith, Doctor No and General Lee versus Saint Paul"),
    ("the U.S. Congress, e.g. Sen. Long, etc.", "the U S Congress, for example Senator Long, et cetera."),
    ("World War II and Louis XVI", "World War two and Louis the sixteenth"),
    ("I was there", "I was there"),
    ("1/2, 3/4 and 2 1/2; 3½", "one half, three quarters and two and one half; three and one half"),
    ("bread & butter + 2 = 3", "bread and butter plus two equals three"),
    ("-5°C at 60 mph", "minus five degrees Celsius at sixty miles an hour"),
    ("call 555-1234", "call five five five, one two three four"),
    ("agent 007 in a B-52", "agent zero zero seven in a B fifty-two"),
    ("No. 7. No!", "number seven. No!"),
    ("“Don’t”—he said—‘go’ (now)", "Don't, he said, go, now"),
    ("the farmers' café", "the farmers' cafe"),
    ("see www.example.org/a", "see www dot example dot org slash a"),
    ("line one\n\nline two", "line one line two"),
]


@pytest.mark.parametrize(("written", "spoken"), CASES)
def test_reads_as_a_person_would(written: str, spoken: str) -> None:
    assert spoken_form(written, "en").rstrip(".,") == spoken.rstrip(".,")


@pytest.mark.parametrize(("language", "written", "spoken"), [(row[0], *row[2:]) for row in TABLE])
def test_reads_every_kind_of_writing(language: str, written: str, spoken: str) -> None:
    assert spoken_form(written, language) == spoken


def test_the_table_has_every_kind_of_writing_in_both_languages() -> None:
    kinds = {language: {row[1] for row in TABLE if row[0] == language} for language in ("en", "zh")}
    both = {
        "cardinal",
        "decimal",
        "ordinal",
        "date",
        "money",
        "percent",
        "time",
        "fraction",
        "range",
        "phone",
        "unit",
        "url",
        "symbol",
        "unicode",
    }
    assert kinds["en"] >= both | {"year", "title", "abbreviation", "roman"} and kinds["zh"] >= both | {"ratio", "mixed"}


READ = [("en", spoken) for _, spoken in CASES] + [(row[0], row[3]) for row in TABLE]


@pytest.mark.parametrize(("language", "spoken"), [pair for pair in READ if not re.search(r"\b[AP] M\.", pair[1])])
def test_a_spoken_form_is_read_as_it_stands(language: str, spoken: str) -> None:
    """A transcript and its text are compared in spoken form, whichever of them is in words already."""
    assert spoken_form(spoken, language) == spoken


def test_sentences_of_both_languages_with_words_of_the_other() -> None:
    assert spoken_form("He said 你好，世界。 at 5 p.m.!", "en") == "He said 你好, 世界. at five P M!"
    assert spoken_form("在2024年，OpenAI发布了GPT-4o模型（“o”代表omni），售价$20！", "zh") == (
        "在二零二四年，OpenAI发布了GPT四o模型，o代表omni，售价二十美元！"
    )


def test_other_languages_keep_their_words_and_read_numbers_where_they_can() -> None:
    german = spoken_form("Es kostet 1.234 Euro – 3,5 % mehr!", "de")
    assert german == "Es kostet eintausendzweihundertvierunddreißig Euro, drei Komma fünf Prozent mehr!"
    assert spoken_form("C’est le 21 août…", "fr") == "C'est le vingt-et-un août."
    assert spoken_form("सन् 😀", "xx") == "सन्"


LETTERS = " .,;:?!'-"


UNREAD = {
    "a form of number": [
        "owed $4,310.007.52 in all",
        "some 25,000,40 men",
        "it costs €3.500",
        "2.750 € a day",
        "at 0x7f3a",
        "MAC 3C:22:FB:0A:91:7E",
        "ping 2001:db8::7",
        "the colour #3a5f0b",
        "due 2025-W07",
        "QX$400",
        "€ 2,4 Mio.",
    ],
    "a date or a version": ["on 07.11.19"],
    "an abbreviation": [
        "2 c. rice",
        "the 4th ed. of it",
        "see Ex. 9",
        "Rom. 5:3",
        "4 Rbs. scored",
        "trans. A. Poe",
        "s. 12 of the Act",
        "1 pt. cream",
    ],
}


@pytest.mark.parametrize(("written", "why"), [(written, why) for why, all_ in UNREAD.items() for written in all_])
def test_english_refuses_what_would_be_a_guess(written: str, why: str) -> None:
    with pytest.raises(CannotRead, match=why):
        spoken_form(written, "en")


PIECES = [
    "Chapter",
    "Henry",
    "June",
    "5",
    "3-5",
    "0.96",
    "12",
    "1941",
    "45",
    "10:30",
    "1/2",
    "$",
    "5m",
    "I",
    "X",
    "IIV",
    "p.m.",
    "v2.0",
    "-",
    "–",
    "12.05.2024",
    "St.",
    "page",
    "xii",
    "3.5",
    "'99",
    "°C",
    "km/",
    "US$",
    "bn",
    "(ii)",
    "War",
    "B-52",
    "Route",
    "101",
    "1e6",
    "x²",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from([" ", "", ", "])), max_size=6))
def test_english_reads_any_mix_of_its_kinds_in_words(pieces: list[tuple[str, str]]) -> None:
    written = "".join(piece + after for piece, after in pieces)
    try:
        spoken = spoken_form(written, "en")
    except CannotRead:
        return
    assert not re.search(r"[^A-Za-z.,;:?!' -]", spoken)


@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_a_digit_that_python_does_not_know_is_refused(language: str) -> None:
    """U+11BF0, of Unicode 16: Python 3.11 has no value of it."""
    if "\U00011bf0".isdecimal():
        pytest.skip("this Python knows the digit")
    with pytest.raises(CannotRead, match="a form of number"):
        spoken_form("a \U00011bf0 b", language)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), st.text(alphabet="0123456789$%£.,-–/:'() AaPpmMsSth#IVX&½²你。", max_size=25)))
def test_english_has_only_letters_and_the_punctuation_of_speech(text: str) -> None:
    try:
        spoken = spoken_form(text, "en")
    except CannotRead:
        return
    assert not regex.search(r"[^\p{L}\p{M}\p{Terminal_Punctuation}'·་՚-՟\u200c\u200d -]", spoken)
    assert spoken == " ".join(spoken.split())


CHINESE = "0123456789$%￥€°/:.,-–—~〜（）()[]{}\"'“” 年月日时分点第万亿你好两kmKgABCNo&+=<>@#①½²℃…·！？，。；：、😀\n|_^*"


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), st.text(alphabet=CHINESE, max_size=25)))
def test_chinese_has_only_letters_and_chinese_punctuation(text: str) -> None:
    try:
        spoken = spoken_form(text, "zh")
    except CannotRead:
        return
    assert all(c.isalpha() or c in "，。？！、 '" for c in spoken)
    assert spoken == " ".join(spoken.split())


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=CHINESE, max_size=25), st.sampled_from(["de", "fr", "ja", "am", "xx"]))
def test_no_language_is_an_error(text: str, language: str) -> None:
    try:
        spoken = spoken_form(text, language)
    except CannotRead:
        return
    assert not regex.search(r"[^\p{L}\p{M}\p{Terminal_Punctuation}'·་՚-՟\u200c\u200d -]", spoken)


@pytest.mark.parametrize("language", ["en", "zh", "de", "xx"])
@pytest.mark.parametrize("nothing", ["", "***", "…", "😀", "-- ! --"])
def test_tells_when_there_is_nothing_to_say(nothing: str, language: str) -> None:
    assert not speakable(spoken_form(nothing, language))
    assert speakable(spoken_form("so", language))


def test_a_clip_has_room_for_fewer_chinese_characters() -> None:
    assert max_characters("zh") < max_characters("en") == max_characters("de")
