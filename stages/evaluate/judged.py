"""Score open-ended and adjustment answers with a judge, if one is named.

Otherwise the answers are counted and reported as not judged.
"""

from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from inserter.errors import InserterError
from inserter.evaluation import JudgedCell, Response, Scores
from inserter.run.runner import say
from inserter.scoring.judged_scores import SCORERS, judged_cell
from inserter.scoring.records import Row

if TYPE_CHECKING:
    from inserter.scoring.judge import JudgeSettings

NOT_JUDGED = "no judge is set: set evaluate.judge_model, or judge data/evaluate/TASK.jsonl as docs/JUDGE.md shows"


def judge_settings(model: str | None, sampling: dict[str, Any] | None = None) -> "JudgeSettings | None":
    """Return the endpoint for evaluate.judge_model, or None if no judge is named.

    Raises InserterError if a judge is named, but its endpoint has no address.
    """
    if model is None:
        return None
    from inserter.scoring.judge import JudgeSettings
    from inserter.scoring.judge.settings import missing

    settings = JudgeSettings.from_environment(model, **(sampling or {}))
    if settings is None:
        raise InserterError(f"evaluate.judge_model is {model}, but no endpoint is set", missing(model))
    return settings


def judge_rows(rows: list[Response], settings: "JudgeSettings | None") -> list[Response]:
    """Return `rows` with `judged`: the verdicts on open-ended and adjustment answers.

    A verdict is as `inserter score` gives it. Without settings the rows stay as they are. Earlier
    replies of the judge come from its cache.

    Raises InserterError if judging stopped early: the judge failed, or none of its replies could be
    read. The error makes sure that the stage is run again.
    """
    if settings is None:
        return rows
    from inserter.scoring.judge import judge

    verdicts: dict[str, Row] = {}
    for task in ("open", "adjustment"):
        asked = records(rows, task)
        judged, usage = judge(asked, task, settings)
        say(f"evaluate: {task}: {usage.judged} of {usage.records} answers judged, {usage.calls} calls, {usage.cached} cached")
        if usage.changes:
            say(f"evaluate: {task}: the server refused a parameter, so the requests changed: {'; '.join(usage.changes)}")
        if usage.stopped:
            problem = f"{task}: {usage.failed} of {usage.records} answers are not judged ({usage.stopped}; {usage.paid()})"
            raise InserterError(problem, f"{usage.remedy}, then run again: all answers and replies are kept")
        verdicts |= {record["id"]: SCORERS[task].score_record(record) for record in judged}
    return [{**row, "judged": verdicts.get(row["id"])} for row in rows]


def records(rows: list[Response], task: str) -> list[dict[str, object]]:
    """Return the answers to a task in the benchmark's fields, as a judge gets them.

    The stage writes these records to data/evaluate/TASK.jsonl.
    """
    return [
        {
            "id": row["id"],
            "lang": row["lang"],
            "form": row["form"],
            "prompt": row["clean_prompt"],
            "decomposed_questions": row["questions"],
            "response": row["response"],
        }
        for row in rows
        if row["task"] == task
    ]


def judged_table(rows: list[Response]) -> Scores:
    """Return the scores of the tasks that code cannot check.

    A cell without verdicts has "judged": False, "n" and "reason". Other cells have "judged": True,
    the task's scores and counts, and "interval".
    """
    groups: dict[tuple[str, str, str, str], list[Response]] = defaultdict(list)
    for row in rows:
        if row["task"] in SCORERS:
            groups[row["task"], row["lang"], row["variant"], row["form"]].append(row)
    table: dict[str, dict[str, dict[str, dict[str, JudgedCell]]]] = {}
    for (task, lang, variant, form), group in sorted(groups.items()):
        cells = table.setdefault(task, {}).setdefault(lang, {}).setdefault(variant, {})
        cells[form] = _cell(task, f"{lang} {variant} {form}", group)
    return cast(Scores, table)  # which has the tasks in SCORERS


def _cell(task: str, name: str, rows: list[Response]) -> JudgedCell:
    verdicts = [row["judged"] for row in rows if row["judged"] is not None]
    return judged_cell(task, name, verdicts) if verdicts else {"judged": False, "n": len(rows), "reason": NOT_JUDGED}
