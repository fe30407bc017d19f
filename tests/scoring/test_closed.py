"""Closed-ended scoring of files: agrees with the reference, loses nothing silently, never ends on a bad record."""

import json

import pytest
from checkout import ROOT

from inserter.errors import InserterError
from inserter.files import read_jsonl, write_jsonl
from inserter.scoring.closed import CHUNK, aggregate, render, score_file, score_record

CASES = ROOT / "tests" / "conformance" / "closed_cases.jsonl"
# "附： 请" has the marker with a space behind its colon: the fragile point that robust mode mends
MENDED = {"closed-160"}

GOOD = {"key": 7, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}], "response": "fine"}


@pytest.fixture(scope="module")
def cases() -> list[dict]:
    return list(read_jsonl(CASES))


def test_every_conformance_case_agrees_with_the_reference(cases, tmp_path):
    score_file(CASES, "reference", tmp_path / "out.jsonl")
    rows = list(read_jsonl(tmp_path / "out.jsonl"))
    expected = [{"id": c["id"], "strict": c["reference_strict"], "loose": c["reference_loose"]} for c in cases]
    assert rows == expected


def test_robust_agrees_too_on_ordinary_input(cases):
    for case in cases:
        row = score_record(case)
        same = (row["strict"], row["loose"]) == (case["reference_strict"], case["reference_loose"])
        assert same is (case["id"] not in MENDED), case


def test_scores_are_fractions_of_prompts_and_instructions(tmp_path):
    two = ["punctuation:no_comma", "startend:quotation"]
    records = [
        {**GOOD, "instruction_id_list": two, "kwargs": [{}, {}], "response": '"both"'},
        {**GOOD, "instruction_id_list": two, "kwargs": [{}, {}], "response": 'Sure, here:\n"loosely"'},
        {**GOOD, "response": "a, b"},
        {**GOOD, "response": None},
    ]
    result = score_file(write_jsonl(tmp_path / "in.jsonl", records))
    assert result["strict-prompt"] == 1 / 4 and result["loose-prompt"] == 2 / 4 and result["mean-prompt"] == 3 / 8
    assert result["strict-instruction"] == 2 / 6 and result["loose-instruction"] == 4 / 6
    assert result["mean-instruction"] == 3 / 6
    assert (result["n_prompts"], result["n_instructions"], result["n_dropped"]) == (4, 6, 0)
    assert result["mode"] == "robust"


BAD = {
    "not JSON": [b'{"key": 1', b"\xff\xfe", b"[" * 100_000],
    "malformed record": [
        b"[1]",
        json.dumps({**GOOD, "kwargs": {}}).encode(),
        json.dumps({**GOOD, "kwargs": [{}, {}]}).encode(),
        json.dumps({**GOOD, "instruction_id_list": []}).encode(),
        json.dumps({**GOOD, "instruction_id_list": [], "kwargs": []}).encode(),
        json.dumps({**GOOD, "instruction_id_list": "punctuation:no_comma"}).encode(),
    ],
    "no response": [
        json.dumps({k: v for k, v in GOOD.items() if k != "response"}).encode(),
        json.dumps({**GOOD, "response": ["text"]}).encode(),
    ],
    "unknown instruction": [json.dumps({**GOOD, "instruction_id_list": ["a:\ud800"]}).encode()],
    "unusable argument": [
        json.dumps(
            {**GOOD, "instruction_id_list": ["length_constraints:number_words"], "kwargs": [{"num_words": 3, "relation": "about"}]}
        ).encode(),
        json.dumps({**GOOD, "id": "\ud800", "kwargs": [3]}).encode(),
    ],
    "missing argument": [json.dumps({**GOOD, "instruction_id_list": ["keywords:existence"], "kwargs": [None]}).encode()],
}


def test_bad_records_are_counted_by_reason_and_the_others_scored(tmp_path):
    lines = [line for group in BAD.values() for line in group]
    mixed = [json.dumps(GOOD).encode(), *lines, b"", json.dumps(GOOD).encode()]
    (tmp_path / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(mixed))
    result = score_file(tmp_path / "in.jsonl", details=tmp_path / "out.jsonl")
    assert result["dropped"] == {reason: len(group) for reason, group in sorted(BAD.items())}
    assert result["n_prompts"] == 2 and result["strict-prompt"] == 1.0
    assert result["n_records"] == result["n_prompts"] + result["n_dropped"] == 2 + len(lines)
    rows = list(read_jsonl(tmp_path / "out.jsonl"))
    assert len(rows) == 2 + len(lines), "a dropped record has its line too"
    assert [row["strict"] is None for row in rows] == [False, *[True] * len(lines), False]
    assert all(row["error"].startswith(row["reason"]) for row in rows if row["strict"] is None)
    (about,) = [row["error"] for row in rows if "about" in row.get("error", "")]
    assert "length_constraints:number_words: relation" in about and "at least" in about


def test_a_record_that_has_no_verdict_in_the_reference_mode_is_dropped_there(tmp_path):
    path = write_jsonl(tmp_path / "in.jsonl", [GOOD, {**GOOD, "response": None}])
    assert score_file(path, "reference")["dropped"] == {"no response": 1}
    assert score_file(path, "robust")["n_dropped"] == 0


def test_nothing_scored_is_no_score(tmp_path):
    result = score_file(write_jsonl(tmp_path / "in.jsonl", [{**GOOD, "kwargs": None}]))
    assert result["strict-prompt"] is None and result["mean-instruction"] is None
    assert "not measured" in render(result) and "malformed record 1" in render(result)


def test_records_with_the_same_key_and_prompt_stay_apart(tmp_path):
    records = [GOOD, {**GOOD, "response": "a, b"}, {**GOOD, "id": "mine"}, {k: v for k, v in GOOD.items() if k != "key"}]
    path = write_jsonl(tmp_path / "in.jsonl", records)
    assert score_file(path, details=tmp_path / "out.jsonl")["strict-prompt"] == 3 / 4
    rows = list(read_jsonl(tmp_path / "out.jsonl"))
    assert [row["id"] for row in rows] == [7, 7, "mine", 4]
    assert [row["strict"] for row in rows] == [[True], [False], [True], [True]]


def test_the_number_of_workers_changes_nothing(cases, tmp_path):
    records = [{**case, "id": f"{case['id']} {i}"} for i in range(2 * CHUNK // len(cases) + 1) for case in cases]
    path = write_jsonl(tmp_path / "in.jsonl", records)
    assert len(records) > 2 * CHUNK, "more chunks than workers"
    alone = score_file(path, details=tmp_path / "1.jsonl", workers=1)
    assert score_file(path, details=tmp_path / "2.jsonl", workers=2) == alone
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused_and_leaves_no_details(content, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(content)
    with pytest.raises(InserterError, match="no records"):
        score_file(tmp_path / "in.jsonl", details=tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_file_that_cannot_be_read_or_a_wrong_mode_is_refused(tmp_path):
    with pytest.raises(InserterError, match="cannot be read"):
        score_file(tmp_path / "missing.jsonl")
    with pytest.raises(InserterError, match="cannot be read"):
        score_file(tmp_path)
    path = write_jsonl(tmp_path / "in.jsonl", [GOOD])
    with pytest.raises(InserterError, match="robust or reference"):
        score_file(path, "loose")  # type: ignore[arg-type]


def test_the_details_cannot_replace_the_responses(tmp_path):
    path = write_jsonl(tmp_path / "in.jsonl", [GOOD])
    with pytest.raises(InserterError, match="another name"):
        score_file(path, details=tmp_path / "." / "in.jsonl")
    assert list(read_jsonl(path)) == [GOOD]


def test_aggregate_of_the_rows_is_the_score_of_the_file(cases):
    result = score_file(CASES)
    assert {**aggregate(score_record(case) for case in cases), "mode": "robust"} == result
    assert f"{100 * result['mean-prompt']:.2f} %" in render(result)
