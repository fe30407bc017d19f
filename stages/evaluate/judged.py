"""Open-ended and adjustment answers: judged where a judge is named, else counted and said to be not judged."""

from collections import defaultdict
from typing import Any

import numpy as np

from inserter.errors import InserterError
from inserter.run.runner import say
from inserter.scoring import adjustment
from inserter.scoring import open_ended as open
from inserter.scoring.intervals import share_interval

Row = dict[str, Any]
NOT_JUDGED = "no judge is named: set evaluate.judge_model, or judge data/evaluate/TASK.jsonl as docs/JUDGE.md shows"
SCORERS = {"open": open, "adjustment": adjustment}


def judge_settings(model: str | None, sampling: dict[str, Any] | None = None) -> Any:
    """The endpoint for evaluate.judge_model; None where no judge is named. Raises InserterError where it has no address."""
    if model is None:
        return None
    from inserter.scoring.judge import JudgeSettings
    from inserter.scoring.judge.settings import missing

    settings = JudgeSettings.from_environment(model, **(sampling or {}))
    if settings is None:
        raise InserterError(f"evaluate.judge_model is {model}, but no endpoint is set", missing(model))
    return settings


def judge_rows(rows: list[Row], settings: Any) -> list[Row]:
    """The rows of the two tasks with `judged`: the verdict on each, as `inserter score` gives it. settings None: as they are.

    What the judge has answered before comes from its cache. Raises InserterError when the asking ended early, since it failed or
    nothing that it said could be read: a stage that ended well would not be run again.
    """
    if settings is None:
        return rows
    from inserter.scoring.judge import judge

    verdicts: dict[str, Row] = {}
    for task in ("open", "adjustment"):
        asked = records(rows, task)
        judged, usage = judge(asked, task, settings)  # type: ignore[arg-type]
        say(f"evaluate: {task}: {usage.judged} of {usage.records} answers judged, {usage.calls} calls, {usage.cached} cached")
        if usage.changes:
            say(f"evaluate: {task}: the server refused what was asked, so it was asked: {'; '.join(usage.changes)}")
        if usage.stopped:
            problem = f"{task}: {usage.failed} of {usage.records} answers are not judged ({usage.stopped}; {usage.paid()})"
            raise InserterError(problem, f"{usage.remedy}, then run again: all answers and replies are kept")
        verdicts |= {record["id"]: SCORERS[task].score_record(record) for record in judged}
    return [row | {"judged": verdicts.get(row["id"])} for row in rows]


def records(rows: list[Row], task: str) -> list[Row]:
    """The answers of a task in the benchmark's fields: what a judge is given (data/evaluate/TASK.jsonl)."""
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


def judged_table(rows: list[Row]) -> dict[str, Any]:
    """{task: {lang: {variant: {form: cell}}}} of the tasks that code cannot check.

    cell: {"judged": False, "n", "reason"}, or {"judged": True, the task's scores and counts, "interval": {score: [low, high]}}.
    """
    groups: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["task"] in SCORERS:
            groups[row["task"], row["lang"], row["variant"], row["form"]].append(row)
    table: dict[str, Any] = {}
    for (task, lang, variant, form), group in sorted(groups.items()):
        cells = table.setdefault(task, {}).setdefault(lang, {}).setdefault(variant, {})
        cells[form] = _cell(task, f"{lang} {variant} {form}", group)
    return table


def _cell(task: str, name: str, rows: list[Row]) -> Row:
    verdicts = [row["judged"] for row in rows if row["judged"] is not None]
    if not verdicts:
        return {"judged": False, "n": len(rows), "reason": NOT_JUDGED}
    counted = [_counts(task, verdict) for verdict in verdicts if verdict["counted"]]
    interval = {
        score: share_interval(np.array([c[score][0] for c in counted]), np.array([c[score][1] for c in counted]), task, name, score)
        for score in (counted[0] if counted else {})
    }
    return {"judged": True, **SCORERS[task].aggregate(verdicts), "interval": interval}


def _counts(task: str, verdict: Row) -> dict[str, tuple[float, float]]:
    """(points, of how many) for each score of the task."""
    if task == "adjustment":
        return {score: (float(verdict[score]), 1.0) for score in ("iar", "ecr")}
    votes = verdict["votes"]
    return {"prompt": (float(verdict["prompt_correct"]), 1.0), "instruction": (float(votes.count("YES")), float(len(votes)))}
