"""Numbers as they are written against what a recogniser writes: our own spoken form has no part in it."""

import pytest

from inserter.verification.readings import at_risk, contradicted, disagreement

AGREE = [
    ("a Type C plug", "a type C plug"),
    ("Charles V came", "Charles the fifth came"),
    ("World War II", "World War 2"),
    ("Pope Leo XIII", "Pope Leo the 13th"),
    ("it cost $5.00", "it cost $5"),
    ("it cost $14 billion", "it cost 14 billion dollars"),
    ("a £25m loan", "a £25 million loan"),
    ("25m people", "25 million people"),
    ("a 25m wall", "a 25 meter wall"),
    ("1,500 men", "fifteen hundred men"),
    ("1,000,000 men", "a million men"),
    ("20, 30, and 40 miles", "20, 3040 miles"),
    ("at 5:30 p.m.", "at 530 p.m."),
    ("12/25/2001", "December 25th, 2001"),
    ("3 1/2 per cent", "three and a half percent"),
    ("from 18-24", "from 18 to 24"),
    ("it was -15 outside", "it was minus 15 outside"),
    ("[1833] December", "1833 December"),
    ("two men", "to men"),
    ("3 men", "free men"),
]
CONTRADICT = [
    ("Schedule D", "Schedule 500", "500 is heard"),
    ("Class L", "class 50", "50 is heard"),
    ("a £25m loan", "a 25 meters pounds loan", "25000000 is not heard"),
    ("a $25b bond", "a 25 B dollars bond", "25000000000 is not heard"),
    ("it cost $40", "it cost 40", "$ is not heard"),
    ("40% of them", "40 of them", "% is not heard"),
    ("from 18-24", "from 18 minus 24", "minus is heard"),
    ("in 1987", "in 1978", "1987 is not heard"),
    ("0.125 liters", "125 liters", "0.125 is not heard"),
]


@pytest.mark.parametrize(("written", "wrote"), AGREE)
def test_other_ways_to_write_a_number_agree(written, wrote):
    assert disagreement(written, wrote, "en") is None


@pytest.mark.parametrize(("written", "wrote", "why"), CONTRADICT)
def test_a_contradiction_is_named(written, wrote, why):
    assert disagreement(written, wrote, "en") == why


@pytest.mark.parametrize(
    ("written", "wrote", "agrees"),
    [
        ("0,125 Liter", "125 Liter", False),
        ("0,125 Liter", "0,125 Liter", True),
        ("12 345 habitants", "12.345 habitants", True),
        ("um 14:30 Uhr", "um 14 Uhr 30", True),
        ("am 24.12.2024", "am 24. Dezember 2024", True),
        ("drei Liter", "30 Liter", True),  # no digit is written: nothing to compare
        ("৪৫ কেজি", "45 kg", True),
    ],
)
def test_other_languages_are_compared_by_digits(written, wrote, agrees):
    assert (disagreement(written, wrote, "xx") is None) == agrees


@pytest.mark.parametrize(
    ("written", "spoken", "risk"),
    [
        ("Schedule D", "Schedule five hundred", True),
        ("World War II", "World War two", True),
        ("five men", "five men", False),
        ("Mr. Smith & Co.", "Mister Smith and Company", False),
        ("in 1987", "in nineteen eighty-seven", True),
    ],
)
def test_only_texts_with_numbers_are_heard_for_them(written, spoken, risk):
    assert at_risk(written, spoken, "en") == risk


def test_both_recognisers_have_to_contradict():
    row = {"written": "in 1987", "language": "en", "wrote": "in 1978", "second_wrote": None}
    assert contradicted(row) == "1987 is not heard"
    assert contradicted(row | {"second_wrote": "In 1987."}) is None
    assert contradicted(row | {"second_wrote": "in 1988"}) == "1987 is not heard"
    assert contradicted(row | {"wrote": None}) is None
