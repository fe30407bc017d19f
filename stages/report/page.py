"""Render the page with the scores and a browser of the items.

The page makes no network requests, and all answers on it are escaped.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, TypedDict

from jinja2 import Environment
from markupsafe import Markup

from inserter.evaluation import Cell, EvaluateReport, Response, Scores
from inserter.page import environment, policy_hash, text
from inserter.scoring import table as scoretable
from inserter.scoring.table import ScoreRow
from inserter.yaml_files import read_yaml
from stages.report import words
from stages.report.items import PageItem
from stages.report.kinds import by_type
from stages.report.pairs import grouped, scale
from stages.report.text import FOLLOWED, figures

HERE = Path(__file__).parent


def render(evaluation: EvaluateReport, rows: list[Response], items: list[PageItem]) -> str:
    """Return the page as HTML.

    evaluation: reports/evaluate.json. rows: data/evaluate/responses.jsonl. items: `items.browsable`
    of `rows`.
    """
    script = text("stages.report", "template/app.js")
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
            items=items,
            choices=_choices(items),
            data=embedded({"items": items, "names": {"forms": _form_names(items), "variants": words.VARIANTS}}),
            script=script,
            script_hash=policy_hash(script),
            style=text("inserter.page", "base.css") + text("stages.report", "template/style.css"),
        )
    )


def embedded(value: object) -> Markup:
    """Return `value` as JSON for a <script> element.

    Escaping <, > and & keeps text from ending the element or starting a comment.
    """
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    data = data.encode("utf-8", "replace").decode()  # a lone surrogate is not valid UTF-8
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return Markup(data)


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
    found = environment("stages.report")
    found.filters["percent"] = words.percent
    found.filters["figures"] = figures
    found.filters["signed"] = words.signed
    found.globals["followed"] = FOLLOWED
    found.globals["words"] = words
    found.globals["meanings"] = scoretable.FORMS
    return found


def _choices(items: list[PageItem]) -> dict[str, dict[str, str]]:
    """Return {filter: {value: name}} for the browser, with only the values that some item has."""
    kinds = {kind: name for item in items for kind, name, _ in item["checks"]}
    return {
        "task": _offered(items, "task", words.TASKS),
        "lang": _offered(items, "lang", words.LANGUAGES),
        "variant": _offered(items, "variant", words.VARIANTS),
        "kind": dict(sorted(kinds.items(), key=lambda pair: pair[1])),
    }


def _offered(items: list[PageItem], field: Literal["task", "lang", "variant"], names: dict[str, str]) -> dict[str, str]:
    used = {item[field] for item in items}
    return {value: names.get(value, value) for value in (*names, *sorted(used - names.keys())) if value in used}


def _form_names(items: list[PageItem]) -> dict[str, list[str]]:
    """Return {form: [short name, long name]} of the forms that occur, in the order of the table."""
    used = dict.fromkeys((*words.FORMS, *(form for item in items for form in item["forms"])))
    return {form: [words.FORMS.get(form, form), scoretable.FORMS.get(form, form)] for form in used}
