"""Render the page with the scores and a browser of the items.

The page makes no network requests, and all answers on it are escaped.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypedDict

from jinja2 import Environment

from inserter.evaluation import Cell, EvaluateReport, Response, Scores
from inserter.page import text
from inserter.page.browser import Name, parts, templates, words
from inserter.page.browser.items import PageItem
from inserter.scoring import table as scoretable
from inserter.scoring.table import ScoreRow
from inserter.yaml_files import read_yaml
from stages.report.kinds import PAIRED, by_type
from stages.report.pairs import grouped, scale
from stages.report.text import figures

HERE = Path(__file__).parent


def render(evaluation: EvaluateReport, rows: list[Response], items: list[PageItem]) -> str:
    """Return the page as HTML.

    evaluation: reports/evaluate.json. rows: data/evaluate/responses.jsonl. items: `items.browsable`
    of `rows`.
    """
    scores, comparisons = evaluation["speechinstructbench"], evaluation.get("comparisons") or []
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            evaluation=evaluation,
            tables=sorted(tables(scores), key=lambda table: scoretable.place(table["task"], table["lang"])),
            likely=scoretable.likelihood(evaluation),
            people=scoretable.people_lines(people) if (people := scoretable.people(evaluation)) else [],
            pairs=grouped(comparisons),
            scale=scale(comparisons),
            kinds=by_type(rows),
            leaderboard=read_yaml(HERE / "leaderboard.yaml"),
            **parts(items, _form_names(items), PAIRED, style=text("stages.report", "template/style.css")),
        )
    )


class Shown(ScoreRow):
    """A cell with its place and its figures."""

    cell: Cell


class Table(TypedDict):
    """One table of the page."""

    task: str
    lang: str
    forms: list[str]
    scored: bool
    """Whether any cell has a share."""
    tried: bool
    """Whether the answers were checked by code or judged."""
    reason: object
    """Why answers were not judged, or None."""
    n: int
    variants: dict[str, dict[str, Shown]]
    """{variant: {form: cell}}."""


def tables(scores: Scores) -> Iterator[Table]:
    """Yield one table per task and language, with the cells of its variants by form."""
    by_task = scoretable.by_task(scores)
    grouped: dict[tuple[str, str], dict[str, dict[str, Shown]]] = {}
    for row in scoretable.rows(scores):
        variant = grouped.setdefault((row["task"], row["lang"]), {}).setdefault(row["variant"], {})
        variant[row["form"]] = {**row, "cell": by_task[row["task"]][row["lang"]][row["variant"]][row["form"]]}
    for (task, lang), variants in grouped.items():
        cells = [cell for forms in variants.values() for cell in forms.values()]
        used = {cell["form"] for cell in cells}
        yield {
            "task": task,
            "lang": lang,
            "forms": [form for form in words.FORMS if form in used],
            "scored": any(cell["share"] is not None for cell in cells),
            "tried": task == "closed" or any(cell["cell"].get("judged") for cell in cells),
            "reason": next((reason for cell in cells if (reason := cell["cell"].get("reason"))), None),
            "n": max(cell["n"] or 0 for cell in cells),
            "variants": {name: variants[name] for name in sorted(variants, key=lambda v: (v != "standard", v))},
        }


@cache
def _environment() -> Environment:
    found = templates("stages.report")
    found.filters["figures"] = figures
    found.globals["meanings"] = scoretable.FORMS
    return found


def _form_names(items: list[PageItem]) -> dict[str, Name]:
    """Return {form: (short name, long name)} of the forms that occur, in the order of the table."""
    used = dict.fromkeys((*words.FORMS, *(form for item in items for form in item["forms"])))
    return {form: (words.FORMS.get(form, form), scoretable.FORMS.get(form, form)) for form in used}
