"""Checks, variants and comparisons in words: nothing is missing, nothing is claimed that the figures do not hold."""

import string

import pytest

from inserter.page.browser import words
from inserter.scoring.ifeval import CHECKS
from stages.report import kinds, pairs


def test_every_check_has_words_with_its_own_arguments():
    assert set(words.CHECKS) == set(CHECKS)
    for kind, (_, rule) in words.CHECKS.items():
        fields = {name for _, name, *_ in string.Formatter().parse(rule) if name}
        assert fields == set(CHECKS[kind].arguments), kind


@pytest.mark.parametrize(
    ("kind", "kwargs", "said"),
    [
        ("keywords:existence", {"keywords": ["gull", "{pier}"]}, "uses “gull”, “{pier}”"),
        (
            "keywords:frequency",
            {"keyword": "tea", "relation": "at least", "frequency": 2},
            "uses “tea” at least 2 times",
        ),
        ("startend:end_checker", {}, "ends with (not given)"),
        ("startend:end_checker", None, "ends with (not given)"),
        ("no:such_type", {"n": 3, "gone": None}, "n: 3"),
    ],
)
def test_a_check_has_words_whatever_its_arguments(kind, kwargs, said):
    assert words.rule(kind, kwargs) == said


def test_variant_parameters_have_units():
    assert words.note("snr_db", 5.0) == ("signal-to-noise ratio", "5 dB")
    assert words.note("disfluencies", ["filler", "repetition"]) == ("disfluencies", "filler, repetition")


def pair(difference, interval, p, a=("background", "heard"), b=("standard", "heard")):
    a, b = (dict(zip(("variant", "form"), side, strict=True)) for side in (a, b))
    return {"lang": "en", "a": a, "b": b, "difference": difference, "interval": interval, "p_value": p, "n_prompts": 9}


def test_a_loss_is_called_settled_only_where_interval_and_test_agree():
    found = pairs.grouped(
        [pair(-0.1, [-0.2, -0.01], 0.01), pair(-0.1, [-0.2, -0.01], 0.09), pair(0.1, [-0.2, 0.3], 0.01), pair(0.0, None, 1.0)]
    )
    (lines,) = found.values()
    assert [line["settled"] for line in lines] == [True, False, False, None]
    assert [line["says"] for line in lines] == [
        "10.0 points less",
        "10.0 points less",
        "10.0 points more",
        "no difference",
    ]
    assert lines[0]["name"] == "With background noise"


def test_what_speaking_costs_comes_before_what_hearing_costs():
    hearing = pair(-0.3, [-0.4, -0.2], 0.001, ("standard", "heard"), ("standard", "read"))
    headings = [heading for _, heading in pairs.grouped([hearing, pair(-0.1, None, 1.0)])]
    assert headings[0].startswith("Cost of each manner of speaking") and headings[1] == "Hearing against reading the same words"
    assert pairs.scale([hearing]) == 0.4 and pairs.scale([]) == 0.1


def test_a_type_is_compared_on_items_scored_in_both_forms():
    def row(item, form, strict):
        return {
            "task": "closed",
            "lang": "en",
            "item_id": item,
            "form": form,
            "instruction_id_list": ["punctuation:no_comma"],
            "strict": strict,
            "loose": strict,
        }

    rows = [
        row("a", "heard", [False]),
        row("a", "read", [True]),
        row("b", "heard", [True]),
        row("b", "read", None),
        row("c", "read", [True]),
    ]
    assert kinds.by_type(rows) == {"en": [{"type": "punctuation:no_comma", "name": "No comma", "n": 1, "heard": 0.0, "read": 1.0}]}
