"""What a file's name says, and the forms of questions."""

from pathlib import Path

import pytest

from inserter.scoring.questions import split_questions
from stages.benchmark.records import Kind, kind_of


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("closed-ended/closed_paralinguistics_cn.jsonl", Kind("closed", "paralinguistics", "cn")),
        ("open-ended/open_ended_en.jsonl", Kind("open", "standard", "en")),
        ("adjustment/adjustment_cn.jsonl", Kind("adjustment", "standard", "cn")),
        ("closed_accent_en/train-00001-of-00004.parquet", Kind("closed", "accent", "en")),
        ("closed-ended/0000.parquet", Kind("closed", None, None)),
        ("closed-ended/closed_standard_en_responses.jsonl", None),
        ("notes.jsonl", None),
    ],
)
def test_a_file_is_identified_by_its_place(path, kind):
    assert kind_of(Path(path)) == kind


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        (["1. Is it a poem?", " Does it rhyme? "], ["Is it a poem?", "Does it rhyme?"]),
        ('["Is it a poem?", "Does it rhyme?"]', ["Is it a poem?", "Does it rhyme?"]),
        ("['Is it a poem?', \"Doesn't it rhyme?\"]", ["Is it a poem?", "Doesn't it rhyme?"]),
        ("1. Is it a poem?\n2) Does it rhyme?\n\n", ["Is it a poem?", "Does it rhyme?"]),
        ("- Is it a poem\n- Does it rhyme", ["Is it a poem", "Does it rhyme"]),
        ("Is it a poem? Does it rhyme?", ["Is it a poem?", "Does it rhyme?"]),
        ("1. Is it a poem? 2. Does it rhyme?", ["Is it a poem?", "Does it rhyme?"]),
        ('Does it answer "why?" and "how? where?"', ['Does it answer "why?" and "how? where?"']),
        ("1、这是诗吗？2、押韵吗？", ["这是诗吗？", "押韵吗？"]),
        ("这是诗吗？押韵吗？", ["这是诗吗？", "押韵吗？"]),
        ("Are there 3 of them?", ["Are there 3 of them?"]),
        (None, []),
        ("", []),
        ("[", ["["]),
        ({"a": 1}, []),
        ("{}", ["{}"]),
        ("[1, 2]", []),
    ],
)
def test_questions_are_read_in_each_of_their_forms(text, questions):
    assert split_questions(text) == questions
