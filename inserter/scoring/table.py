"""Turn the benchmark's scores into flat rows, and into tables for people.

Only this module knows how a cell is shown.
"""

from collections.abc import Iterator
from typing import Any

FORMS = {  # in the order of the table
    "heard": "the model hears",
    "read": "the model reads the same words",
    "cascade": "the recogniser writes, the model reads its transcript",
    "lm": "the LM before training reads the clean text",
    "asr_lm": "the recogniser writes, the LM before training reads its transcript",
    "chance": "the answers to what was heard, each checked against other items",
}
MAIN = {"closed": "instruction", "open": "instruction", "adjustment": "iar"}


def rows(scores: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row per task, language, variant and form.

    scores: `speechinstructbench` of reports/evaluate.json. Fields of a row:

    - share: instructions followed (mean of strict and loose), or IAR for adjustment, 0 to 1; None
      if nothing was judged
    - low, high: the share's 95 % interval
    - second: prompts followed, or ECR
    - n: items
    """
    for task, languages in scores.items():
        for lang, variants in languages.items():
            for variant, forms in variants.items():
                for form, cell in forms.items():
                    yield {"task": task, "lang": lang, "variant": variant, "form": form, **_figures(task, cell)}


def _figures(task: str, cell: dict[str, Any]) -> dict[str, Any]:
    shares = cell.get("mean") if task == "closed" else cell
    intervals = cell.get("interval") or {}
    intervals = intervals.get("mean", {}) if task == "closed" else intervals
    main = MAIN[task]
    low, high = intervals.get(main) or (None, None)
    second = (shares or {}).get("ecr" if task == "adjustment" else "prompt")
    return {
        "share": (shares or {}).get(main),
        "low": low,
        "high": high,
        "second": second,
        "n": cell.get("n_prompts", cell.get("n")),
    }


def percent(share: float | None, digits: int = 1) -> str:
    return "" if share is None else f"{100 * share:.{digits}f}"


def shown(row: dict[str, Any] | None, digits: int = 1) -> str:
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


def grid(scores: dict[str, Any], digits: int = 1) -> Iterator[tuple[tuple[str, str], list[str], list[list[str]]]]:
    """Yield ((task, language), header, lines) of each table.

    A table has one line per variant, one column per form that some line has, and a column of items.
    Closed-ended tables come first. Within a task English comes first. digits: of the intervals'
    ends.
    """
    table: dict[tuple[str, str], dict[str, dict[str, dict[str, Any]]]] = {}
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


def company(report: dict[str, Any]) -> dict[str, Any]:
    """Return how the model compares with its own cascade, from reports/evaluate.json.

    - gap: {"difference", "low", "high"} of the gap closed, heard less cascade
    - instructions: the same for the share followed, heard less cascade
    - above_chance: the same for the share followed, heard less chance
    - heard, read, cascade, chance: the shares followed, 0 to 1

    The shares are those of clean speech (variant standard), in English if English was asked. What
    was not measured is None.
    """
    closed = (report.get("speechinstructbench") or {}).get("closed") or {}
    lang = "en" if "en" in closed else min(closed, default=None)
    cells = (closed.get(lang) or {}).get("standard") or {}
    shares = {form: (cells.get(form) or {}).get("mean", {}).get("instruction") for form in ("heard", "read", "cascade", "chance")}
    gap = report.get("heard_minus_cascade")
    return {
        "gap": gap if gap and gap["difference"] is not None else None,
        "instructions": _heard_less(report, lang, "cascade"),
        "above_chance": _heard_less(report, lang, "chance"),
        **shares,
    }


def _heard_less(report: dict[str, Any], lang: str | None, form: str) -> dict[str, Any] | None:
    wanted = ({"variant": "standard", "form": "heard"}, {"variant": "standard", "form": form})
    pairs = [pair for pair in report.get("comparisons") or [] if (pair["a"], pair["b"]) == wanted and pair["lang"] == lang]
    if not pairs:
        return None
    low, high = pairs[0]["interval"] or (None, None)
    return {"difference": pairs[0]["difference"], "low": low, "high": high}


LIKELIHOOD = {  # part of the report: (name, key of the count, chance)
    "topic_cloze": ("topic cloze, % right", "documents", "50"),
    "instruction_gap": ("instruction gap closed, % of reading", "prompts", "0"),
    "minimal_pairs": ("minimal pairs, % right", "pairs", "50"),
}


def likelihood(report: dict[str, Any]) -> tuple[list[str], list[list[str]], str] | None:
    """Return header, lines and a sentence on forgetting, from the report's key `likelihood`.

    Return None if the likelihood was not measured.
    """
    found = report.get("likelihood")
    if not found:
        return None
    forms = [form for form in ("heard", "cascade", "read") if form in found["topic_cloze"]]
    pairs = [f"heard_minus_{form}" for form in forms if form != "heard"]
    header = ["measure", *forms, *(pair.replace("_minus_", " - ") for pair in pairs), "chance", "n"]
    lines = []
    for part, (name, count, chance) in LIKELIHOOD.items():
        cells = [_within(found[part].get(form), "share", "") for form in forms]
        cells += [_within(found[part].get(pair), "difference", "+") for pair in pairs]
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


def _within(cell: dict[str, Any] | None, name: str, sign: str) -> str:
    """Return a cell like `61.2 (55.0 to 67.4)`, in per cent; "" for what was not measured."""
    if not cell or cell[name] is None:
        return ""
    share, low, high = (None if cell[key] is None else format(100 * cell[key], f"{sign}.1f") for key in (name, "low", "high"))
    return f"{share}" + ("" if low is None else f" ({low} to {high})")


PEOPLE = {
    "heard": "word errors of what the model hears",
    "asr": "word errors of the recogniser",
    "difference": "model minus recogniser",
}


def people(report: dict[str, Any]) -> dict[str, Any] | None:
    """Return the figures of reports/evaluate.json on recordings of people; None without recordings.

    - clips, hours, refused: totals
    - errors: {name of PEOPLE: {"share", "low", "high"}} of what was measured, 0 to 1
    - follow: {language: {form: the same}} of the instructions followed, if the recordings have
      instructions
    """
    found = report.get("recordings")
    if not found or not found.get("clips"):
        return None
    cells = {name: (found.get("word_errors") or {}).get(name) for name in PEOPLE}
    errors = {name: _ends(cell["share"], cell.get("interval")) for name, cell in cells.items() if cell}
    follow: dict[str, Any] = {}
    for row in rows({"closed": found.get("answers") or {}}):
        if row["share"] is not None:
            follow.setdefault(row["lang"], {})[row["form"]] = {name: row[name] for name in ("share", "low", "high")}
    refused = sum((found.get("refused") or {}).values())
    return {"clips": found["clips"], "hours": found["hours"], "refused": refused, "errors": errors, "follow": follow}


def _ends(share: float, interval: list[float] | None) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {"share": share, "low": low, "high": high}


def people_lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) of each figure of `people`, in per cent with 95 % intervals."""
    lines = [("clips", f"{found['clips']:,} ({found['hours']:.2f} h); {found['refused']:,} refused")]
    for name, cell in found["errors"].items():
        paired = name == "difference"
        lines.append((PEOPLE[name], _spread(cell, "+" if paired else "", " points" if paired else " %")))
    for lang, forms in found["follow"].items():
        shown = ", ".join(f"{form} {_spread(cell, '', ' %')}" for form, cell in forms.items())
        lines.append((f"instructions followed, {lang}", shown))
    return lines


def _spread(cell: dict[str, Any], sign: str, unit: str) -> str:
    shares = [None if cell[name] is None else format(100 * cell[name], f"{sign}.1f") for name in ("share", "low", "high")]
    return f"{shares[0]}{unit}" + ("" if shares[1] is None else f" (95 % {shares[1]} to {shares[2]})")


def place(task: str, lang: str) -> tuple[int, bool, str]:
    """Return the sort key of a table: by task, English first, then by language."""
    return list(MAIN).index(task) if task in MAIN else len(MAIN), lang != "en", lang
