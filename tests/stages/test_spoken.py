"""What a voice is given to read has words only: a digit or a symbol in it is read wrong, or not at all."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.spoken import speakable, spoken_form

CASES = [
    ("13 colonies, 1,234 men and 1,000,000 more",
     "thirteen colonies, one thousand two hundred thirty-four men and one million more"),
    ("On July 4, 1776, it began", "On July fourth, seventeen seventy-six, it began"),
    ("from 4 July 1776 to Sept. 5th, 1850", "from the fourth of July seventeen seventy-six to September fifth, eighteen fifty"),
    ("2001-12-25 or 12/25/2001", "December twenty-fifth, two thousand one or December twenty-fifth, two thousand one"),
    ("in 1905, 2000 and 2010", "in nineteen oh five, two thousand and twenty ten"),
    ("the 1990s, the '60s and 1998's end", "the nineteen nineties, the sixties and nineteen ninety-eight's end"),
    ("1941-45 and 10–20 days", "nineteen forty-one to forty-five and ten to twenty days"),
    ("the 21st century, the 2d of May and the 3rd", "the twenty-first century, the second of May and the third"),
    ("$1,234.56, $1.50, $0.25 and $1",
     "one thousand two hundred thirty-four dollars and fifty-six cents, one dollar and fifty cents, "
     "twenty-five cents and one dollar"),
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
]  # fmt: skip


@pytest.mark.parametrize(("written", "spoken"), CASES)
def test_reads_as_a_person_would(written: str, spoken: str) -> None:
    assert spoken_form(written).rstrip(".,") == spoken.rstrip(".,")


@pytest.mark.parametrize(("written", "spoken"), [case for case in CASES if "P M." not in case[1]])
def test_a_spoken_form_is_read_as_it_stands(written: str, spoken: str) -> None:
    """A transcript and its text are compared in spoken form, whichever of them is in words already."""
    once = spoken_form(written)
    assert spoken_form(once) == once


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), st.text(alphabet="0123456789$%£.,-–/:'() AaPpmMsSth#IVX&½²", max_size=25)))
def test_has_only_letters_and_the_punctuation_of_speech(text: str) -> None:
    spoken = spoken_form(text)
    assert all(c.isalpha() or c in " .,;:?!'-" or unicodedata.category(c).startswith("M") for c in spoken)
    assert spoken == " ".join(spoken.split())


@pytest.mark.parametrize("nothing", ["", "***", "…", "😀", "-- ! --"])
def test_tells_when_there_is_nothing_to_say(nothing: str) -> None:
    assert not speakable(spoken_form(nothing))
    assert speakable(spoken_form("7"))
