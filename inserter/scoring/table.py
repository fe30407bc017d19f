"""Turn the benchmark's scores into flat rows, and into tables for people.

Only this module knows how a cell is shown.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, TypedDict, cast

from inserter.evaluation import Cell, Cells, ClosedCell, Difference, Ends, EvaluateReport, Figure, Form, JudgedCell, Scores

FORMS = {  # in the order of the table
    "heard": "the model hears",
    "read": "the model reads the same words",
    "cascade": "the recogniser writes, the model reads its transcript",
    "lm": "the LM before training reads the clean text",
    "asr_lm": "the recogniser writes, the LM before training reads its transcript",
    "chance": "the answers to what was heard, each checked against other items",
}
MAIN = {"closed": "instruction", "open": "instruction", "adjustment": "iar"}
JUDGED: tuple[Literal["instruction", "prompt", "iar", "ecr"], ...] = ("instruction", "prompt", "iar", "ecr")


class Figures(Figure):
    """The figures of a cell."""

    second: float | None
    """Prompts followed, or ECR for adjustment."""
    n: int | None
    """Items."""


class ScoreRow(Figures):
    """A cell with its place.

    The share is that of the instructions followed (mean of strict and loose), or IAR for
    adjustment. It is None if nothing was judged.
    """

    task: str
    lang: str
    variant: str
    form: str


def by_task(scores: Scores) -> Mapping[str, Cells[Cell]]:
    """Return `scores` for code that treats all tasks alike."""
    return cast(Mapping[str, Cells[Cell]], scores)


def rows(scores: Scores) -> Iterator[ScoreRow]:
    """Yield one row per task, language, variant and form."""
    for task, languages in by_task(scores).items():
        for lang, variants in languages.items():
            for variant, forms in variants.items():
                for form, cell in forms.items():
                    yield {"task": task, "lang": lang, "variant": variant, "form": form, **_figures(task, cell)}


def _figures(task: str, cell: Cell) -> Figures:
    main = MAIN[task]
    if task == "closed":
        closed = cast(ClosedCell, cell)
        shares, intervals = closed.get("mean") or {}, (closed.get("interval") or {}).get("mean", {})
        n: int | None = closed.get("n_prompts")
    else:
        judged = cast(JudgedCell, cell)
        shares = {level: judged.get(level) for level in JUDGED}
        intervals, n = judged.get("interval") or {}, judged.get("n")
    low, high = intervals.get(main) or (None, None)
    second = shares.get("ecr" if task == "adjustment" else "prompt")
    return {"share": shares.get(main), "low": low, "high": high, "second": second, "n": n}


def percent(share: float | None, digits: int = 1) -> str:
    return "" if share is None else f"{100 * share:.{digits}f}"


def shown(row: ScoreRow | None, digits: int = 1) -> str:
    """Return a cell like `46.1 (40.2–52.0)`, in per cent; "" for a form that was not asked.

    Without a share the cell is `not judged`, or `not scored` for closed-ended answers. digits: of
    the interval's ends.
    """
    if row is None:
        return ""
    if row["share"] is None:
        return "not judged" if row["task"] != "closed" else "not scored"
    interval = "" if row["low"] is None else f" ({percent(row['low'], digits)}–{percent(row['high'], digits)})"
    return percent(row["share"]) + interval


def grid(scores: Scores, digits: int = 1) -> Iterator[tuple[tuple[str, str], list[str], list[list[str]]]]:
    """Yield ((task, language), header, lines) of each table.

    A table has one line per variant, one column per form that some line has, and a column of items.
    Closed-ended tables come first. Within a task English comes first. digits: of the intervals'
    ends.
    """
    table: dict[tuple[str, str], dict[str, dict[str, ScoreRow]]] = {}
    for row in rows(scores):
        table.setdefault((row["task"], row["lang"]), {}).setdefault(row["variant"], {})[row["form"]] = row
    for name, variants in sorted(table.items(), key=lambda found: place(*found[0])):
        forms = [form for form in FORMS if any(form in cells for cells in variants.values())]
        lines = []
        for variant in sorted(variants, key=lambda v: (v != "standard", v)):
            cells = variants[variant]
            count = max(cell["n"] or 0 for cell in cells.values())
            lines.append([variant, *(shown(cells.get(form), digits) for form in forms), str(count)])
        yield name, ["variant", *forms, "items"], lines


class Company(TypedDict):
    """How the model compares with its own cascade; what was not measured is None.

    The shares are those of clean speech (variant standard), in English if English was asked.
    """

    gap: Difference | None
    """Of the gap closed: heard less cascade."""
    instructions: Difference | None
    """Of the share followed: heard less cascade."""
    above_chance: Difference | None
    """Of the share followed: heard less chance."""
    heard: float | None
    """The share followed, 0 to 1; so are the next three."""
    read: float | None
    cascade: float | None
    chance: float | None


def company(report: EvaluateReport) -> Company:
    """Return how the model compares with its own cascade, from reports/evaluate.json."""
    closed = (report.get("speechinstructbench") or Scores()).get("closed") or {}
    lang = "en" if "en" in closed else min(closed, default=None)
    cells = (closed.get(lang) if lang is not None else None) or {}
    standard = cells.get("standard") or {}
    gap = report.get("heard_minus_cascade")
    return {
        "gap": gap if gap and gap["difference"] is not None else None,
        "instructions": _heard_less(report, lang, "cascade"),
        "above_chance": _heard_less(report, lang, "chance"),
        "heard": _followed(standard.get("heard")),
        "read": _followed(standard.get("read")),
        "cascade": _followed(standard.get("cascade")),
        "chance": _followed(standard.get("chance")),
    }


def _followed(cell: ClosedCell | None) -> float | None:
    return cell.get("mean", {}).get("instruction") if cell else None


def _heard_less(report: EvaluateReport, lang: str | None, form: str) -> Difference | None:
    wanted = ({"variant": "standard", "form": "heard"}, {"variant": "standard", "form": form})
    pairs = [pair for pair in report.get("comparisons") or [] if (pair["a"], pair["b"]) == wanted and pair["lang"] == lang]
    if not pairs:
        return None
    low, high = pairs[0]["interval"] or (None, None)
    return {"difference": pairs[0]["difference"], "low": low, "high": high}


Part = Literal["topic_cloze", "instruction_gap", "minimal_pairs"]
LIKELIHOOD: dict[Part, tuple[str, Literal["documents", "prompts", "pairs"], str]] = {  # (name, key of the count, chance)
    "topic_cloze": ("topic cloze, % right", "documents", "50"),
    "instruction_gap": ("instruction gap closed, % of reading", "prompts", "0"),
    "minimal_pairs": ("minimal pairs, % right", "pairs", "50"),
}
FORMS_MEASURED: tuple[Form, ...] = ("heard", "cascade", "read")
HEARD_MINUS: dict[Form, Literal["heard_minus_cascade", "heard_minus_read"]] = {
    "cascade": "heard_minus_cascade",
    "read": "heard_minus_read",
}


def likelihood(report: EvaluateReport) -> tuple[list[str], list[list[str]], str] | None:
    """Return header, lines and a sentence on forgetting, from the report's key `likelihood`.

    Return None if the likelihood was not measured.
    """
    found = report.get("likelihood")
    if not found:
        return None
    forms = [form for form in FORMS_MEASURED if form in found["topic_cloze"]]
    pairs = [HEARD_MINUS[form] for form in forms if form != "heard"]
    header = ["measure", *forms, *(pair.replace("_minus_", " - ") for pair in pairs), "chance", "n"]
    lines = []
    for part, (name, count, chance) in LIKELIHOOD.items():
        shares = [found[part].get(form) for form in forms]
        differences = [found[part].get(pair) for pair in pairs]
        cells = [_within(cell["share"], cell, "") if cell else "" for cell in shares]
        cells += [_within(cell["difference"], cell, "+") if cell else "" for cell in differences]
        lines.append([name, *cells, chance, str(found[part][count])])
    lost = found["forgetting"]
    if lost["kl"] is None:
        return header, lines, "Forgetting was not measured: there is no held-out text."
    between = "" if lost["low"] is None else f" (95 % {lost['low']:.3f} to {lost['high']:.3f})"
    text = (
        f"Forgetting, nats per token of held-out text: KL(base || model) {lost['kl']:.3f}{between};"
        f" loss {lost['text_nll_base']:.3f} before training, {lost['text_nll_model']:.3f} after."
    )
    return header, lines, text


def _within(value: float | None, cell: Figure | Difference, sign: str) -> str:
    """Return a cell like `61.2 (55.0 to 67.4)`, in per cent; "" for what was not measured."""
    if value is None:
        return ""
    low, high = _points(cell["low"], sign), _points(cell["high"], sign)
    return f"{_points(value, sign)}" + ("" if low is None else f" ({low} to {high})")


def _points(share: float | None, sign: str) -> str | None:
    return None if share is None else format(100 * share, f"{sign}.1f")


PEOPLE: dict[Literal["heard", "asr", "difference"], str] = {
    "heard": "word errors of what the model hears",
    "asr": "word errors of the recogniser",
    "difference": "model minus recogniser",
}


class People(TypedDict):
    """The figures on recordings of people."""

    clips: int
    hours: float
    refused: int
    errors: dict[Literal["heard", "asr", "difference"], Figure]
    """Word errors by name of PEOPLE, of what was measured."""
    follow: dict[str, dict[str, Figure]]
    """{language: {form: instructions followed}}, if the recordings have instructions."""


def people(report: EvaluateReport) -> People | None:
    """Return the figures of reports/evaluate.json on recordings of people; None without any."""
    found = report.get("recordings")
    if not found or not found.get("clips"):
        return None
    measured = found.get("word_errors")
    cells = {name: measured.get(name) if measured else None for name in PEOPLE}
    errors = {name: _ends(cell["share"], cell.get("interval")) for name, cell in cells.items() if cell}
    follow: dict[str, dict[str, Figure]] = {}
    for row in rows({"closed": found.get("answers") or {}}):
        if row["share"] is not None:
            follow.setdefault(row["lang"], {})[row["form"]] = {"share": row["share"], "low": row["low"], "high": row["high"]}
    refused = sum((found.get("refused") or {}).values())
    return {"clips": found["clips"], "hours": found["hours"], "refused": refused, "errors": errors, "follow": follow}


def _ends(share: float, interval: Ends) -> Figure:
    low, high = interval or (None, None)
    return {"share": share, "low": low, "high": high}


def people_lines(found: People) -> list[tuple[str, str]]:
    """Return (name, value) of each figure of `people`, in per cent with 95 % intervals."""
    lines = [("clips", f"{found['clips']:,} ({found['hours']:.2f} h); {found['refused']:,} refused")]
    for name, cell in found["errors"].items():
        paired = name == "difference"
        lines.append((PEOPLE[name], _spread(cell, "+" if paired else "", " points" if paired else " %")))
    for lang, forms in found["follow"].items():
        shown = ", ".join(f"{form} {_spread(cell, '', ' %')}" for form, cell in forms.items())
        lines.append((f"instructions followed, {lang}", shown))
    return lines


def _spread(cell: Figure, sign: str, unit: str) -> str:
    share, low, high = (_points(end, sign) for end in (cell["share"], cell["low"], cell["high"]))
    return f"{share}{unit}" + ("" if low is None else f" (95 % {low} to {high})")


def place(task: str, lang: str) -> tuple[int, bool, str]:
    """Return the sort key of a table: by task, English first, then by language."""
    return list(MAIN).index(task) if task in MAIN else len(MAIN), lang != "en", lang
