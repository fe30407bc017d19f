"""The 25 checks: each passes and fails where its rule says, in both modes and both languages; robust mode mends."""

import re
from typing import Any

import langdetect
import pytest
from check_table import ENGLISH, LEAST, LESS, TABLE
from checkout import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from inserter.scoring.ifeval import CHECKS, Unscorable, check, loose_forms, verdicts, without_marker
from inserter.scoring.ifeval.arguments import MORE_RELATIONS
from inserter.scoring.ifeval.text import language_of


def test_the_table_has_every_instruction():
    assert len(CHECKS) == 25
    assert {row[0] for row in TABLE} == set(CHECKS)


@pytest.mark.parametrize("mode", ["reference", "robust"])
@pytest.mark.parametrize(("name", "kwargs", "good", "bad"), TABLE, ids=[f"{i}-{row[0]}" for i, row in enumerate(TABLE)])
def test_passes_and_fails(name, kwargs, good, bad, mode):
    assert check(name, good, kwargs, mode=mode)
    assert not check(name, bad, kwargs, mode=mode)
    assert not check(name, " \n", kwargs, mode=mode), "a blank response follows nothing"


def test_every_check_says_its_rule_and_its_source():
    for name, found in CHECKS.items():
        said = found.test.__doc__ or ""
        assert said.startswith(f"{name}:") and "Source: " in said


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def test_the_table_has_every_instruction_in_both_languages():
    assert {row[0] for row in TABLE if _is_chinese(row[2])} == set(CHECKS)
    assert {row[0] for row in TABLE if _is_chinese(row[3])} == set(CHECKS)
    assert {row[0] for row in TABLE if not _is_chinese(row[2] + row[3])} == set(CHECKS)


# What the reference decides wrongly, or by chance: (instruction, arguments, response, robust verdict)
MENDED: list[tuple[str, dict[str, Any], str, bool]] = [
    ("keywords:existence", {"keywords": ["C++"]}, "Learn C++ first.", True),
    ("keywords:existence", {"keywords": ["C++"]}, "Learn cooking first.", False),
    ("keywords:existence", {"keywords": ["("]}, "f(x)", True),
    ("keywords:frequency", {"keyword": "a.", "frequency": 2, "relation": LEAST}, "an ab a. x", False),
    ("keywords:existence", {"keywords": "lake"}, "A Lake.", True),
    ("detectable_format:multiple_sections", {"section_spliter": "(", "num_sections": 1}, "(1 a", True),
    ("detectable_content:postscript", {"postscript_marker": "Note:"}, "Done.\nNote: keep it.", True),
    ("detectable_content:postscript", {"postscript_marker": "Note:"}, "Done.\nFootnote: keep it.", False),
    ("detectable_content:postscript", {"postscript_marker": "附："}, "完。\n附： 带好文件。", True),
    ("length_constraints:number_words", {"num_words": "3", "relation": LEAST}, "one two three", True),
    ("length_constraints:number_words", {"num_words": "3.0", "relation": LESS}, "one two three", False),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at most"}, "one two three", True),
    ("length_constraints:number_words", {"num_words": 3, "relation": "more than"}, "one two three", False),
    ("length_constraints:number_words", {"num_words": 3, "relation": "Exactly"}, "one two three", True),
    ("length_constraints:number_words", {"num_words": 0, "relation": "more than"}, "one", True),
    ("detectable_format:number_bullet_lists", {"num_bullets": 0}, "no list", True),
    ("change_case:capital_word_frequency", {"capital_frequency": 0, "capital_relation": "exactly"}, "no capitals here", True),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": LEAST}, "# a #", True),
    ("keywords:letter_frequency", {"letter": " E ", "let_frequency": 2, "let_relation": LEAST}, "Eel", True),
    ("language:response_language", {"language": "zh"}, "今天下午我们去河边散步吧，天气非常好。", True),
    ("language:response_language", {"language": "zh"}, ENGLISH, False),
    ("language:response_language", {"language": "en-US"}, ENGLISH, True),
    ("punctuation:no_comma", {"num_words": 3, "relation": "so so"}, "no comma", True),
]


@pytest.mark.parametrize(("name", "kwargs", "response", "verdict"), MENDED, ids=str)
def test_robust_decides_what_was_meant(name, kwargs, response, verdict):
    assert check(name, response, kwargs, mode="robust") is verdict


@pytest.mark.parametrize(
    ("name", "kwargs", "reason"),
    [
        ("keywords:existence", {"keywords": ["("]}, "unusable argument"),
        ("keywords:frequency", {"keyword": "a", "frequency": 0, "relation": LEAST}, "missing argument"),
        ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": LEAST}, "unusable argument"),
        ("language:response_language", {"language": "zh"}, "unusable argument"),
        ("length_constraints:number_words", {"num_words": "3", "relation": LEAST}, "unusable argument"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "at most"}, "unusable argument"),
        ("punctuation:no_comma", {"num_words": 3}, "unexpected argument"),
    ],
)
def test_reference_has_no_verdict_where_it_would_fail_or_draw(name, kwargs, reason):
    with pytest.raises(Unscorable) as error:
        check(name, "text", kwargs, mode="reference")
    assert error.value.reason == reason


def test_reference_takes_keywords_as_expressions_and_drops_false_arguments():
    assert check("keywords:existence", "grey", {"keywords": ["gr[ae]y"]}, mode="reference")
    assert not check("keywords:existence", "grey", {"keywords": ["gr[ae]y"]}, mode="robust")
    assert check("punctuation:no_comma", "text", {"num_words": None, "keywords": []}, mode="reference")


@pytest.mark.parametrize("mode", ["reference", "robust"])
@pytest.mark.parametrize(
    ("name", "kwargs", "says"),
    [
        ("keywords:existence", {}, "keywords"),
        ("keywords:existence", {"keywords": []}, "keywords"),
        ("length_constraints:number_words", {"num_words": 3}, "relation"),
        ("length_constraints:number_words", {"num_words": -1, "relation": LESS}, "num_words"),
        ("length_constraints:number_words", {"num_words": "three", "relation": LESS}, "three"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "about"}, "about"),
        ("length_constraints:number_words", {"num_words": 3, "relation": 3}, "relation"),
        ("keywords:letter_frequency", {"letter": "ab", "let_frequency": 2, "let_relation": LEAST}, "not one letter"),
        ("language:response_language", {"language": "klingon"}, "klingon"),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "a"},
            "nth_paragraph 3",
        ),
        ("punctuation:no_comma", ["x"], "not an object"),
        ("length:unknown", {}, "length:unknown"),
    ],
)
def test_no_value_is_ever_made_up(name, kwargs, says, mode):
    for response in ("some text", ""):  # not even where the response is blank
        with pytest.raises(Unscorable, match=says):
            check(name, response, kwargs, mode=mode)


@pytest.mark.parametrize(
    ("name", "kwargs", "says"),
    [
        ("keywords:existence", {"keywords": ["lake", " "]}, "keywords is blank"),
        ("startend:end_checker", {"end_phrase": ""}, "end_phrase is blank"),
        ("length_constraints:number_words", {"num_words": True, "relation": LESS}, "not a whole number"),
        ("length_constraints:number_words", {"num_words": 2.5, "relation": LESS}, "not a whole number"),
    ],
)
def test_robust_refuses_an_argument_that_every_response_would_pass_or_fail(name, kwargs, says):
    with pytest.raises(Unscorable, match=says):
        check(name, "some text", kwargs, mode="robust")


def test_the_language_is_the_same_on_every_call_and_the_package_is_left_alone():
    before = langdetect.DetectorFactory.seed
    doubtful = [f"no {i} si da ok tak me" for i in range(30)]
    first = [language_of(text) for text in doubtful]
    language_of.cache_clear()
    assert [language_of(text) for text in reversed(doubtful)] == first[::-1]
    assert langdetect.DetectorFactory.seed == before


def test_a_turn_marker_is_cut_only_at_the_very_start():
    assert without_marker("<2> Hello ") == "Hello"
    assert without_marker(" <2> Hello ") == " <2> Hello "
    assert without_marker("<4>Hello") == "<4>Hello"


def test_loose_forms():
    assert loose_forms("a*") == ["a*", "a", ""]
    assert set(loose_forms("Sure:\n*a*\nbye")) == {
        "Sure:\n*a*\nbye",
        "Sure:\na\nbye",
        "*a*\nbye",
        "a\nbye",
        "Sure:\n*a*",
        "Sure:\na",
        "*a*",
        "a",
    }


TEXT = st.text(st.sampled_from("aB cd.,*-\n\"“”<>《》[]【】今天。？,，1{}'\ud800😀"), max_size=60)


@settings(max_examples=150, deadline=None)
@given(TEXT, st.sampled_from(["reference", "robust"]))
def test_any_response_has_verdicts_and_strict_implies_loose(response, mode):
    ids, kwargs = [row[0] for row in TABLE], [row[1] for row in TABLE]
    strict, loose = verdicts(ids, kwargs, response, mode=mode)
    assert len(strict) == len(loose) == len(ids)
    assert all(one or not other for one, other in zip(loose, strict, strict=True))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(CHECKS)), st.sampled_from(["reference", "robust"]))
def test_any_arguments_are_read_or_refused(data, name, mode):
    """In the reference, one record with strange arguments ends a whole run."""
    kwargs = data.draw(JSON | st.fixed_dictionaries(dict.fromkeys(CHECKS[name].arguments, JSON)))
    try:
        assert check(name, "Some text (with a few words).", kwargs, mode=mode) in (True, False)
    except Unscorable as error:
        assert error.reason in ("missing argument", "unusable argument", "unexpected argument")


def test_the_guide_names_every_rule_and_its_example_runs():
    guide = (ROOT / "docs" / "SCORING.md").read_text(encoding="utf-8")
    for name, found in CHECKS.items():
        (row,) = [line for line in guide.splitlines() if line.startswith(f"| `{name}` |")]
        assert all(argument in row for argument in found.arguments), name
    assert all(f"`{relation}`" in guide for relation in MORE_RELATIONS)
    (example,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    exec(compile(example, "SCORING.md", "exec"), {})
