"""Judged answers: the reference's verdicts to the letter, robust mode's where those are fragile, no end of a run."""

import json
from typing import Any

import pytest
from checkout import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from inserter.errors import InserterError
from inserter.files import read_jsonl, write_jsonl
from inserter.scoring import adjustment, open_ended, votes

CASES = ROOT / "tests" / "conformance" / "judge_cases.jsonl"
SCORERS = {"open": open_ended, "adjust": adjustment}
# Where robust mode decides otherwise than the reference on the conformance cases, and why
MENDED = {
    "adjust-34": "true is a yes",
    "adjust-37": '" YES" is a yes',
    "adjust-55": "answers in another language abstain, and are not counted as no",
    "open-19": "[YES, YES] is a list of two yes",
    "open-34": "yes and Yes are YES",
    "open-43": "None abstains, so that a question is left without a vote",
}


@pytest.fixture(scope="module")
def cases() -> list[dict]:
    return list(read_jsonl(CASES))


def expected(case: dict) -> dict:
    if case["kind"] == "open":
        names = {
            "counted": "reference_counted",
            "votes": "reference_vote",
            "prompt_correct": "reference_prompt_correct",
        }
    else:
        names = {"counted": "reference_counted", "iar": "reference_iar", "ecr": "reference_ecr"}
    return {"id": case["id"], **{ours: case[theirs] for ours, theirs in names.items()}}


def verdict(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in ("reason", "error")}


@pytest.mark.parametrize("kind", ["open", "adjust"])
def test_every_conformance_case_agrees_with_the_reference(kind, cases, tmp_path):
    mine = [case for case in cases if case["kind"] == kind]
    path = write_jsonl(tmp_path / "in.jsonl", mine)
    result = SCORERS[kind].score_file(path, "reference", tmp_path / "out.jsonl")
    rows = list(read_jsonl(tmp_path / "out.jsonl"))
    assert [verdict(row) for row in rows] == [expected(case) for case in mine]
    assert all({"reason", "error"} <= row.keys() for row in rows if not row["counted"])
    counted = [case for case in mine if case["reference_counted"]]
    assert (result["n"], result["n_counted"]) == (len(mine), len(counted))
    assert sum(result["dropped"].values()) == result["n_dropped"] == len(mine) - len(counted)
    if kind == "adjust":
        assert result["iar"] == sum(case["reference_iar"] for case in counted) / len(counted)
        assert result["ecr"] == sum(case["reference_ecr"] for case in counted) / len(counted)
    else:
        questions = sum(case["reference_n_instructions"] for case in counted)
        assert result["n_instructions"] == questions
        assert result["instruction"] == sum(case["reference_n_yes"] for case in counted) / questions
        assert result["prompt"] == sum(case["reference_prompt_correct"] for case in counted) / len(counted)


def test_robust_agrees_on_ordinary_replies(cases):
    for case in cases:
        same = verdict(SCORERS[case["kind"]].score_record(case)) == expected(case)
        assert same is (case["id"] not in MENDED), case


def _votes(pred_score: Any, mode: str = "robust", **fields: Any) -> Any:
    """The votes, or the reason why there are none."""
    row = open_ended.score_record({"pred_score": pred_score, **fields}, mode)  # type: ignore[arg-type]
    return row["votes"] if row["counted"] else row["reason"]


THREE = {"decomposed_questions": ["One?", "Two?", "Three?"]}


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ('["YES", "NO", "YES"]', "YNY"),
        ("['yes', 'No ', ' Yes.']", "YNY"),
        ("[true, false, true]", "YNY"),
        ("[True, False, True]", "YNY"),
        ('```json\n["YES", "NO", "YES"]\n```', "YNY"),
        ("```\n['YES',\n 'NO',  # was late\n 'YES']\n```", "YNY"),
        ("By question [1] to [3]: ['YES', 'NO', 'YES'], as shown.", "YNY"),
        ('{"answers": ["YES", "NO", "YES"]}', "YNY"),
        ("For example ['YES', 'YES', 'YES']. Mine: ['YES', 'NO', 'YES']", "YNY"),
        ("['YES', 'NO', 'YES'] for the questions, ['YES'] on the whole", "YNY"),
        ("[YES, no, Yes]", "YNY"),
        (["YES", "NO", "YES"], "YNY"),
        ("['YES', 'NO', 'YES'", None),
        ("YES, NO, YES", None),
        ("['maybe', '', 'N/A']", None),
        ("[1, 0, 1]", None),
        ("", None),
        (None, None),
    ],
)
def test_robust_finds_the_list(reply, read):
    assert votes.answers(reply, 3) == (read and [{"Y": "YES", "N": "NO"}[letter] for letter in read])


def test_replies_of_another_length_never_decide():
    right, long = "['YES', 'YES', 'YES']", "['NO', 'NO', 'NO', 'NO']"
    assert _votes([right, right, right, long]) == ["YES"] * 3
    assert _votes([right, right, right, long], "reference") == ["NO"] * 4, "one over-long list overrides three right ones"
    assert _votes([right, long, long, long], **THREE) == ["YES"] * 3
    assert _votes([long, "['YES']"], **THREE) == "wrong number of answers"


def test_replies_in_the_text_of_a_cell_each_have_a_vote():
    replies = ["['YES', 'NO']", "['YES', 'NO']", "['NO', 'NO']"]
    assert _votes(json.dumps(replies)) == _votes(str(replies)) == _votes(replies) == ["YES", "NO"], "the last does not decide alone"


def test_an_abstention_is_no_vote():
    assert _votes(["['YES', 'unsure', 'NO']", "['YES', 'YES', 'NO']", "['n/a', 'YES', 'YES']"]) == ["YES", "YES", "NO"]
    assert _votes(["['YES', 'unsure']", "['YES', 'perhaps']"]) == "no vote"
    assert _votes(["['YES', 'unsure']", "['YES', 'perhaps']"], "reference") == ["YES", "unsure"]


@pytest.mark.parametrize(
    ("questions", "count"),
    [
        (["One?", "Two?", " "], 2),
        ("['One?', 'Two?']", 2),
        ('["One?", "Two?", "Three?"]', 3),
        ("1. One?\n2. Two?\n3. Three?", 3),
        ("Questions:\n1. One?\n2. Two?", 2),
        ("1. One? 2. Two?", 2),
        ("1、一？\n2、二？", 2),
        ("One?\n\nTwo?\n", 2),
        ("Is it there?", 1),
        ("Is it there? Is it short?", 2),
        ("", None),
        ([], None),
        (None, None),
        (7, None),
    ],
)
def test_questions_are_counted_in_a_list_and_in_a_string(questions, count):
    assert votes.expected_answers({"decomposed_questions": questions}) == count


YES_NO = {"follow_after_adjust": "YES", "follow_before_adjust": "NO", "after_adjust_content_correct": "YES"}


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        (json.dumps(YES_NO), True),
        (f"```json\n{json.dumps(YES_NO, indent=2)}\n```", True),
        (f"My verdict: {json.dumps(YES_NO)} Done.", True),
        (str(YES_NO), True),
        (json.dumps({name: value == "YES" for name, value in YES_NO.items()}), True),
        (json.dumps({**YES_NO, "why": {"note": "changed [date]"}}), True),
        (f"{json.dumps({'result': YES_NO})}", True),
        (json.dumps({name.upper(): value.lower() for name, value in YES_NO.items()}), True),
        (YES_NO, True),
        ('{"verdict": "YES"}', False),
        ("YES", False),
        (json.dumps(list(YES_NO.values())), False),
    ],
)
def test_robust_finds_the_object(reply, read):
    assert votes.judgement(reply, adjustment.FIELDS) == (YES_NO if read else None)
    row = adjustment.score_record({"pred_score": [reply]})
    assert (row["iar"], row["ecr"]) == ((1, 0) if read else (None, None))


def test_a_reply_votes_with_the_fields_it_has():
    part = json.dumps({"follow_after_adjust": "NO", "after_adjust_content_correct": "NO"})
    record = {"pred_score": [part, part, json.dumps(YES_NO)]}
    assert adjustment.score_record(record)["iar"] == 0
    reference = adjustment.score_record(record, "reference")
    assert reference["iar"] == 0 and reference["ecr"] == 0, "after the missing field the others of a reply do not count"
    only = adjustment.score_record({"pred_score": [part]}, "reference")
    assert only["reason"] == "no vote" and "follow_before_adjust" in only["error"]


STRANGE = [
    None,
    5,
    True,
    1.5,
    "",
    "   ",
    [],
    {},
    "text",
    "['YES']",
    {"a": 1},
    [None],
    [5],
    [[]],
    [["YES"]],
    [{"a": ["YES"]}],
    ["[" * 100_000],
    ["[" + "-" * 100_000 + "1]"],
    ["1+" * 20_000 + "1"],
    ['{"a":' * 100_000],
    ["{" * 100_000],
    ["['YES', '\x00']"],
    ["('YES', 'NO')"],
    ["{'YES'}"],
    ["{'YES': 'NO'}"],
    ["[['YES'], ['NO']]"],
    ["[{'a': 'YES'}]"],
    ["[b'YES', 1j, 1e999, ...]"],
    ["[0x" + "f" * 10_000 + "]"],
    ["['\\ud800']"],
    ['["\ud800"]'],
    ["['\\d']"],
    ["[NaN]"],
    ["[float('nan')]"],
    ["[" + "1" * 5_000 + "]"],
    ['{"follow_after_adjust": NaN}'],
    ['{"follow_after_adjust": [1]}'],
    [json.dumps({name: ["YES"] for name in YES_NO})],
    [json.dumps({name: {} for name in YES_NO})],
    [json.dumps(YES_NO).replace('"NO"', "NaN")],
    ['{"follow_after_adjust": ' + "1" * 5_000 + "}"],
    ["\ufeff[]"],
]


@pytest.mark.parametrize("mode", ["reference", "robust"])
@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_no_record_ends_a_run(scorer, mode, tmp_path):
    records: list[Any] = [{"id": n, "pred_score": value} for n, value in enumerate(STRANGE)]
    records += [{"id": "bare"}, [1], None, "text", {"id": {}, "pred_score": ["[]"]}]
    deep = f'{{"pred_score": ["[1]"], "decomposed_questions": {"[" * 900 + "]" * 900}}}'
    lines = [*map(json.dumps, records), deep]
    path = tmp_path / "in.jsonl"
    path.write_bytes("\n".join([*lines, '{"id": 1', "[" * 100_000]).encode() + b"\n\xff\xfe\n")
    result = scorer.score_file(path, mode, tmp_path / "out.jsonl")
    rows = list(read_jsonl(tmp_path / "out.jsonl"))
    assert len(rows) == result["n"] == len(lines) + 3
    assert result["n_counted"] + result["n_dropped"] == result["n"] and result["dropped"]["not JSON"] == 3
    for row in rows:
        assert (row["counted"] is False) is ("reason" in row), row
    json.loads(json.dumps(result), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    json.loads(f"[{','.join((tmp_path / 'out.jsonl').read_text().splitlines())}]", parse_constant=pytest.fail)


def test_votes_that_cannot_be_counted_have_no_verdict_in_the_reference_mode():
    assert _votes(["[['YES']]"], "reference") == "unusable vote"
    row = adjustment.score_record({"pred_score": [json.dumps({name: ["YES"] for name in YES_NO})]}, "reference")
    assert row["reason"] == "unusable vote" and row["iar"] is None


def test_votes_of_the_reference_mode_are_kept_as_the_judge_wrote_them():
    assert _votes(["[1, 0.5, None, True, ('YES', 2)]"], "reference") == [1, 0.5, None, True, ["YES", 2]]
    assert _votes(["[1e999, b'YES']"], "reference") == ["inf", "b'YES'"], "what JSON has no form for, as Python writes it"


@pytest.mark.parametrize("given", [{}, {"pred_score": None}, {"pred_score": []}], ids=str)
def test_a_record_without_replies_says_why_the_judge_gave_none(given):
    row = open_ended.score_record({**given, "judge_error": "gave up after 3 tries"})
    assert row["reason"] == "not judged" and "gave up after 3 tries" in row["error"]


def test_the_reference_takes_a_bare_string_for_its_characters():
    assert _votes("['YES']", "reference") == "no usable reply"
    assert _votes("['YES']") == ["YES"]


REPLY = st.text(st.sampled_from("[]{}'\",:YESNO yesno\n`1\\"), max_size=40) | st.sampled_from(
    ["['YES', 'NO']", '["NO", "NO"]', "[True]", json.dumps(YES_NO), "['YES', 'NO', 'NO']", "nothing"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(REPLY, max_size=5), st.sampled_from(["reference", "robust"]), st.integers(0, 3))
def test_any_replies_are_counted_or_dropped_with_a_reason(replies, mode, questions):
    record = {"pred_score": replies, "decomposed_questions": ["Q?"] * questions}
    row = open_ended.score_record(record, mode)
    assert row["counted"] is (row["prompt_correct"] is not None) is ("reason" not in row)
    if row["counted"] and mode == "robust":
        assert set(row["votes"]) <= {"YES", "NO"} and len(row["votes"]) == (questions or len(row["votes"]))
        assert row["prompt_correct"] is (set(row["votes"]) == {"YES"})
    both = adjustment.score_record(record, mode)
    assert both["counted"] is (both["iar"] in (0, 1)) is (both["ecr"] in (0, 1))


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_the_number_of_workers_changes_nothing(scorer, cases, tmp_path):
    path = write_jsonl(tmp_path / "in.jsonl", [{**case, "id": f"{case['id']} {n}"} for n in range(15) for case in cases])
    alone = scorer.score_file(path, details=tmp_path / "1.jsonl", workers=1)
    assert scorer.score_file(path, details=tmp_path / "2.jsonl", workers=2) == alone
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_nothing_counted_is_no_score(scorer, tmp_path):
    result = scorer.score_file(write_jsonl(tmp_path / "in.jsonl", [{"id": "a"}]))
    shares = ("prompt", "instruction") if scorer is open_ended else ("iar", "ecr")
    assert [result[name] for name in shares] == [None, None] and result["dropped"] == {"not judged": 1}
    shown = scorer.render(result)
    assert "not measured" in shown and "dropped 1 of 1 records: not judged 1" in shown and "a: not judged" in shown
    with pytest.raises(InserterError, match="no records"):
        (tmp_path / "empty.jsonl").touch()
        scorer.score_file(tmp_path / "empty.jsonl", details=tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_aggregate_of_the_rows_is_the_score_of_the_file(cases, tmp_path):
    for kind, scorer in SCORERS.items():
        mine = [case for case in cases if case["kind"] == kind]
        result = scorer.score_file(write_jsonl(tmp_path / "in.jsonl", mine))
        assert {**scorer.aggregate(scorer.score_record(case) for case in mine), "mode": "robust"} == result
        assert " %" in scorer.render(result)
