"""The cleaning rules by name, the language and the cutting of documents."""

from collections import Counter

import pytest
from corpus_texts import prose
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.corpus.clean import EDITS, FILTERS, RAW_EDITS, paragraphs
from stages.corpus.cut import cut
from stages.corpus.language import language

LONG = "The people of the valley met at the bridge and spoke of the harvest until the lamps were lit."
DROPPED = {
    "empty": "[Applause]",
    "mojibake": "The text \ufffd\ufffd was lost when it was stored by an old machine.",
    "code": "Then call print() with the value and look at what the machine has written.",
    "links": "Visit us at www.example.com or write to us at info@example.com today.",
    "not_mostly_letters": "12 34 | 56 78 -- 90",
    "digits": "In the year 1901 the town had 123456 people and in 1911 it had already 234567 of them by the official count.",
    "all_capitals": "THE MEETING OF THE COUNCIL WILL BE HELD IN THE TOWN HALL ON MONDAY.",
    "word_length": "a b c d e f g h i j k l m n o p.",
    "repetition": "Buy it now and save. " * 12,
    "boilerplate": "We use cookies to make this site better for you.",
    "heading": "MEETING OUR NEEDS",
    "unfinished": "It went on like this for a long time and nobody in the village could say when it would",
    "repeated_paragraph": LONG,
}
EDITED = {
    "mojibake_repaired": ("The cafÃ© was full.", "The café was full."),
    "control_characters": ("It stayed so\u200b.", "It stayed so."),
    "unicode_nfc": ("The cafe\u0301 was full.", "The café was full."),
    "ligatures": ("The oﬃce was full.", "The office was full."),
    "hyphens": ("It was well-\nknown.", "It was well-known."),
    "stage_directions": ("We agreed. [Applause] We signed (Laughter).", "We agreed. We signed."),
    "markdown": ("## The **old** bridge still stands.", "The old bridge still stands."),
    "bullets": ("• We the people agreed.", "We the people agreed."),
    "whitespace": ("It was\nfull.", "It was full."),
    "markup": ("<b>Bold</b> words remain.", "Bold words remain."),
    "character_references": ("The caf&eacute; was full.", "The café was full."),
    "line_breaks": ("It was\u2028full.", "It was full."),
}


@pytest.mark.parametrize("name", [name for name, _ in FILTERS] + ["repeated_paragraph"])
def test_each_filter_drops_its_target_and_counts_it(name: str) -> None:
    dropped: Counter[str] = Counter()
    assert paragraphs(f"{LONG}\n\n{DROPPED[name]}", Counter(), dropped) == [LONG]
    assert dropped == {name: 1}


@pytest.mark.parametrize("name", [name for name, _ in RAW_EDITS + EDITS])
def test_each_edit_corrects_its_target_and_counts_it(name: str) -> None:
    edited: Counter[str] = Counter()
    before, after = EDITED[name]
    assert paragraphs(before, edited, Counter()) == [after]
    assert edited[name] == 1


def test_lines_of_web_text_are_paragraphs_where_they_end_as_sentences_do() -> None:
    second = "Nobody had seen it before."
    assert paragraphs(f"{LONG}\nHome About Contact\n{second}", Counter(), Counter()) == [LONG, second]
    wrapped = "The people of the valley\nmet at the bridge and spoke\nof the harvest."
    assert paragraphs(wrapped, Counter(), Counter()) == [wrapped.replace("\n", " ")]


def test_language_is_detected_the_same_way_every_time() -> None:
    assert {language(prose("x")) for _ in range(3)} == {"en"}
    assert language("Niemand wusste, warum die Glocken im Dorf nicht mehr läuteten.") == "de"
    assert language("12345 67890") == ""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), max_size=8), st.integers(5, 20), st.integers(20, 60))
def test_cut_keeps_every_word_or_counts_it(shape: list[list[int]], least: int, most: int) -> None:
    """Paragraphs, given by the number of words of each sentence, become texts within the range, in order, with whole sentences."""
    numbered = iter(range(10_000))
    whole = [[" ".join(f"W{next(numbered)}" for _ in range(size)) + "." for size in paragraph] for paragraph in shape]
    dropped: Counter[str] = Counter()
    texts = list(cut([" ".join(paragraph) for paragraph in whole], least, most, dropped=dropped))
    assert all(least <= len(text.split()) <= most for text in texts)
    words = " ".join(texts).split()
    assert words == sorted(words, key=lambda word: int(word.strip("W."))), "in order, none twice"
    assert all(text.endswith(".") for text in texts)
    assert (len(words) == sum(map(sum, shape))) == (not dropped)
