"""The gates that guard the benchmark: what it may lack, and that none of it stands in the corpus or the instruction pairs."""

from pathlib import Path

import pytest
from gate_tables import ASKED, BENCH, DOCS, PAIR, edit, failing

from inserter.files import read_json, write_json, write_jsonl
from inserter.params import Params
from inserter.scoring.ifeval import CHECKS
from stages.check.stage import check


def test_a_variant_without_items_needs_a_reason(workspace: Path, params: Params) -> None:
    write_json("reports/benchmark.json", {**read_json("reports/benchmark.json"), "absent": {"accent": "no such voice"}})
    (failed,) = failing("benchmark", params)
    assert (failed["table"], failed["first_ids"]) == ("absent variants", ["paralinguistics", "disfluency"])


def test_a_benchmark_record_that_is_nowhere_is_noticed(workspace: Path, params: Params) -> None:
    write_json("reports/benchmark.json", {**read_json("reports/benchmark.json"), "read": 90})
    (failed,) = failing("benchmark", params)
    assert (failed["column"], failed["observed"]) == ("lost", [9])


def test_a_language_called_text_only_may_have_items_with_a_voice(workspace: Path, params: Params) -> None:
    edit(BENCH, lambda rows: rows[60].update(shard="shard-00000.tar", size=1, duration=1.0))
    report = read_json("reports/benchmark.json")
    reasons = {**report["absent"], "cn/background": "no such voice"}
    write_json("reports/benchmark.json", {**report, "text_only": ["cn"], "absent": reasons})
    assert failing("benchmark", params) == []


def test_a_variant_that_one_language_lacks_needs_a_reason_too(workspace: Path, params: Params) -> None:
    voice = {"shard": "shard-00000.tar", "size": 1, "duration": 1.0}
    edit(BENCH, lambda rows: [row.update(voice) for row in rows if row["lang"] == "cn"])
    (failed,) = failing("benchmark", params)
    assert (failed["table"], failed["first_ids"]) == ("absent variants", ["cn/background"])


def test_types_may_lack_up_to_the_configured_share(workspace: Path, params: Params) -> None:
    edit(BENCH, lambda rows: rows.__delitem__(slice(54, 56)))  # two of the 25 types in Chinese
    report = read_json("reports/benchmark.json")
    write_json("reports/benchmark.json", {**report, "read": report["read"] - 2})
    (failed,) = failing("benchmark", params)
    assert (failed["table"], failed["first_ids"]) == ("instruction types cn", sorted(CHECKS)[:2])
    loose = params.model_copy(update={"check": params.check.model_copy(update={"max_missing_types": 0.08})})
    assert failing("benchmark", loose) == []


@pytest.mark.parametrize("asked", ASKED, ids=[row["task"] for row in ASKED])
def test_text_of_any_benchmark_task_in_the_corpus_or_the_pairs_is_found(workspace, params, asked) -> None:
    words = asked["prompt"].split()
    part = " ".join(words[-8:]).upper()  # the run of words that is still allowed is one shorter
    edit(DOCS, lambda rows: rows[4].update(text=f"It was said: {part} And so it was."))
    edit(PAIR, lambda rows: rows[2].update(prompt=f"It was said: {part} And so it was."))
    (corpus,), (pairs,) = failing("corpus", params), failing("sft", params)
    assert (corpus["column"], corpus["first_ids"]) == ("benchmark_text", ["d4"])
    assert (pairs["column"], pairs["unexpected_count"], pairs["first_ids"]) == ("benchmark_text", 1, ["p2"])
    shorter = " ".join(words[-7:])
    edit(DOCS, lambda rows: rows[4].update(text=f"It was said: {shorter} And so it was."))
    edit(PAIR, lambda rows: rows[2].update(prompt=f"It was said: {shorter} And so it was."))
    assert failing("corpus", params) == failing("sft", params) == []


def test_a_clean_set_of_pairs_is_said_to_have_no_overlap(workspace: Path, params: Params) -> None:
    (proof,) = [found for found in check("sft", params)["expectations"] if found["column"] == "benchmark_text"]
    assert (proof["passed"], proof["observed"], proof["unexpected_count"]) == (True, 0, 0)
    assert proof["limit"] == {"max": 0}


def test_without_benchmark_prompts_nothing_is_proven(workspace: Path, params: Params) -> None:
    write_jsonl("data/benchmark/prompts.jsonl", [])
    assert [(f["table"], f["expectation"]) for f in failing("sft", params)] == [
        ("benchmark prompts", "expect_table_row_count_to_be_between")
    ]
