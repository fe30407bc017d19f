"""Robust mode reads a text as a reader does, however it is written; reference mode keeps to the published rule."""

import pytest
from check_table import LEAST

from inserter.scoring.ifeval import check, verdicts
from inserter.scoring.ifeval.reader import as_read

PARAGRAPHS = {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"}
NTH = "length_constraints:nth_paragraph_first_word"
# (instruction, arguments, response, reference's verdict, robust's)
DIFFERENT = [
    *[(NTH, PARAGRAPHS, f"First this.{end}{end}Then that.", False, True) for end in ("\r\n", "\r", "\u2028", "\x85")],
    (NTH, PARAGRAPHS, "First this.\n \t\nThen that.", False, True),
    ("startend:end_checker", {"end_phrase": "Any other questions?"}, "Done. Any other\nquestions?", False, True),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "हिन्दी शब्द", False, True),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "كِتَابٌ جَمِيل", False, True),
    ("startend:end_checker", {"end_phrase": "?!"}, "All is well.", True, False),
    ("startend:end_checker", {"end_phrase": "？！"}, "天黑了。", True, False),
    ("startend:end_checker", {"end_phrase": "***"}, "The end", True, False),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Name “three” towns."}, 'Name "three"\n  towns. Bonn', False, True),
    ("keywords:existence", {"keywords": ["blue tram"]}, "A blue\ntram.", False, True),
    ("keywords:existence", {"keywords": ["café"]}, "A cafe\u0301.", False, True),
    ("keywords:existence", {"keywords": ["harbour"]}, "har\u00adbour", False, True),
    ("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 1}, "Part\u00a0\u00a01 Soil", False, True),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": LEAST}, "船到了。🎉！我们走。", True, False),
    ("length_constraints:number_words", {"num_words": 3, "relation": LEAST}, "two words ____", True, False),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "- soap\n\n---\nThat is all", False, True),
    ("detectable_format:json_format", {}, "```jsonc\n[1, 2]\n```", False, True),
    ("detectable_format:title", {}, "«A short night»\nRain.", False, True),
    ("startend:quotation", {}, "«Il pleut.»", False, True),
    ("startend:quotation", {}, '""', True, False),
    ("punctuation:no_comma", {}, "لا، شكرا", True, False),
    ("punctuation:no_comma", {}, "\u200b\ufeff", True, False),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Done.\nP.S bring soap", False, True),
]


@pytest.mark.parametrize(("name", "kwargs", "response", "reference", "robust"), DIFFERENT, ids=str)
def test_where_a_reader_differs_from_the_published_rule(name, kwargs, response, reference, robust):
    assert check(name, response, kwargs, mode="reference") is reference
    assert check(name, response, kwargs, mode="robust") is robust


@pytest.mark.parametrize(
    ("phrase", "response"),
    [
        ("!", "Great! "),
        ("...", "And then…"),
        ("？", "真的吗?"),
        ("?", '"Is it?"'),
        ("***", "The end\n***"),
        ('"', 'So he said "no"'),
        ("Bye!", "So. bye"),
    ],
)
def test_an_end_phrase_is_found_however_it_is_written(phrase, response):
    assert check("startend:end_checker", response, {"end_phrase": phrase}, mode="robust")


def test_loose_forms_are_cut_at_every_kind_of_line_end():
    for end in ("\r\n", "\r", "\u2029"):
        strict, loose = verdicts(["startend:quotation"], [{}], f'Sure:{end}"Bread."', mode="robust")
        assert (strict, loose) == ([False], [True])


def test_plain_text_is_read_as_it_stands():
    for text in ("Plain text.\n\n* one", "今天，下雨了。", "naïve 😀"):
        assert as_read(text) == text
