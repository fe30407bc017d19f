"""`inserter score --intervals`: by variant, as the evaluate stage scores the same answers, beside what chance would give."""

import json
from pathlib import Path

import pytest
import report_inputs as made
from click.testing import CliRunner

from inserter.cli import new_app
from inserter.files import write_jsonl
from inserter.scoring.breakdown import breakdown, render, scored_rows
from inserter.scoring.scores import closed_table
from stages.evaluate.judged import judged_table

ROWS = made.responses(made.items(copies=2), judged=True)


def score(task: str, path: Path, *more: str) -> str:
    result = CliRunner().invoke(new_app(), ["score", task, str(path), *more])
    assert result.exit_code == 0, result.output
    return result.stdout


def answers(path: Path, task: str, *forms: str) -> Path:
    """Answers that nobody has scored yet, or judged ones."""
    rows = [row for row in ROWS if row["task"] == task and (not forms or row["form"] in forms)]
    verdicts = ("strict", "loose", "error", *(("judged",) if task == "closed" else ()))
    return write_jsonl(path, [{name: value for name, value in row.items() if name not in verdicts} for row in rows])


def test_closed_answers_have_the_scores_of_the_evaluate_stage(tmp_path: Path) -> None:
    found = json.loads(score("closed", answers(tmp_path / "a.jsonl", "closed", "heard"), "--intervals", "--json"))
    wanted = closed_table([row for row in ROWS if row["task"] == "closed" and row["form"] == "heard"])
    assert found["by_variant"] == {"closed": json.loads(json.dumps(wanted))} and wanted["en"]["standard"]["chance"]
    for one in found["above_chance"]:
        assert one["interval"][0] <= one["difference"] <= one["interval"][1]
        if one["variant"] != "all":
            cell = wanted[one["lang"]][one["variant"]]
            chance = cell["chance"]["mean"]["instruction"]
            assert one["share"] - one["difference"] == pytest.approx(chance, abs=1e-9)
    assert {one["variant"] for one in found["above_chance"]} == {*made.VARIANTS, "all"}


def test_without_the_option_the_result_is_as_before(tmp_path: Path) -> None:
    path = answers(tmp_path / "a.jsonl", "closed", "heard")
    plain, more = (json.loads(score("closed", path, "--json", *option)) for option in ((), ("--intervals",)))
    assert more == {**plain, "by_variant": more["by_variant"], "above_chance": more["above_chance"]}
    assert score("closed", path, "--intervals").startswith(score("closed", path).rstrip("\n") + "\n\n")


@pytest.mark.parametrize("task", ["open", "adjustment"])
def test_judged_answers_have_the_scores_of_the_evaluate_stage(tmp_path: Path, task: str) -> None:
    found = json.loads(score(task, answers(tmp_path / "a.jsonl", task), "--intervals", "--json"))
    assert found["by_variant"] == {task: json.loads(json.dumps(judged_table(ROWS)[task]))} and found["above_chance"] == []


def test_answers_of_several_forms_have_a_chance_each(tmp_path: Path) -> None:
    parts = breakdown(scored_rows(answers(tmp_path / "a.jsonl", "closed"), "closed"), "closed")
    standard = parts["by_variant"]["closed"]["en"]["standard"]
    assert {"chance of heard", "chance of lm", "heard", "lm"} <= standard.keys()
    assert render(parts, "closed").count("en standard") == 5


def test_a_record_without_a_place_is_scored_too(tmp_path: Path) -> None:
    record = {"prompt": "p", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}], "response": "None."}
    write_jsonl(tmp_path / "a.jsonl", [record, record, {"prompt": "p"}])
    assert " 100.0 " in score("closed", tmp_path / "a.jsonl", "--intervals")


def test_verdicts_without_their_answers_have_intervals_and_no_chance(tmp_path: Path) -> None:
    path = answers(tmp_path / "a.jsonl", "closed", "heard")
    score("closed", path, "--details", str(tmp_path / "verdicts.jsonl"))
    found = json.loads(score("closed", tmp_path / "verdicts.jsonl", "--intervals", "--json"))
    assert found["above_chance"] == [] and found["by_variant"]["closed"][""][""]["answers"]["interval"]
