"""The benchmark's scores as flat rows, and as a table that a person reads. The one place that knows how a cell is shown."""

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
    """A row a task, language, variant and form of `speechinstructbench` in reports/evaluate.json.

    share: instructions followed (mean of strict and loose), or IAR for adjustment, 0 to 1, None where nothing was judged;
    low, high: its 95 % interval; second: prompts followed, or ECR; n: items.
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
        "share": (shares or {}).get(main), "low": low, "high": high, "second": second,
        "n": cell.get("n_prompts", cell.get("n")),
    }  # fmt: skip


def percent(share: float | None, digits: int = 1) -> str:
    return "" if share is None else f"{100 * share:.{digits}f}"


def shown(row: dict[str, Any] | None, digits: int = 1) -> str:
    """`46.1 (40.2–52.0)`, in per cent; `not judged`; or nothing for a form not asked. digits: of the interval's ends."""
    if row is None:
        return ""
    if row["share"] is None:
        return "not judged" if row["task"] != "closed" else "not scored"
    interval = "" if row["low"] is None else f" ({percent(row['low'], digits)}–{percent(row['high'], digits)})"
    return percent(row["share"]) + interval


def grid(scores: dict[str, Any], digits: int = 1) -> Iterator[tuple[tuple[str, str], list[str], list[list[str]]]]:
    """((task, language), header, lines) of each table: a line a variant, a column a form that some line has, and items.

    Closed-ended first; of a task English first. digits: of the intervals' ends.
    """
    table: dict[tuple[str, str], dict[str, dict[str, dict]]] = {}
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
    """How the model stands beside its own cascade, of reports/evaluate.json. What was not measured is None.

    gap: {"difference", "low", "high"} of the gap closed, heard less cascade. instructions: the same of the share followed in
    clean speech (variant standard), in English where it was asked, and heard, read, cascade, chance: those shares, 0 to 1.
    """
    closed = (report.get("speechinstructbench") or {}).get("closed") or {}
    lang = "en" if "en" in closed else min(closed, default=None)
    cells = (closed.get(lang) or {}).get("standard") or {}
    shares = {form: (cells.get(form) or {}).get("mean", {}).get("instruction") for form in ("heard", "read", "cascade", "chance")}
    wanted = ({"variant": "standard", "form": "heard"}, {"variant": "standard", "form": "cascade"})
    pairs = [pair for pair in report.get("comparisons") or [] if (pair["a"], pair["b"]) == wanted and pair["lang"] == lang]
    instructions = None
    if pairs:
        low, high = pairs[0]["interval"] or (None, None)
        instructions = {"difference": pairs[0]["difference"], "low": low, "high": high}
    gap = report.get("heard_minus_cascade")
    return {"gap": gap if gap and gap["difference"] is not None else None, "instructions": instructions, **shares}


def place(task: str, lang: str) -> tuple[int, bool, str]:
    """The order of the tables."""
    return list(MAIN).index(task) if task in MAIN else len(MAIN), lang != "en", lang
