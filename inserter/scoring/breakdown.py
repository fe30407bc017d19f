"""Score a file of answers by language and variant, with intervals and with what chance would give.

This needs numpy and holds the file's records in memory.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, cast

import numpy as np

from inserter.evaluation import Cell, ClosedCell, Ends, Scores
from inserter.scoring import adjustment, closed, open_ended
from inserter.scoring.ifeval import Mode
from inserter.scoring.intervals import share_interval
from inserter.scoring.judged_scores import judged_cell
from inserter.scoring.recordfiles import raw_records, value
from inserter.scoring.records import Row
from inserter.scoring.scores import ALL, CHANCE, closed_table, deals, paired, share_by_prompt
from inserter.scoring.table import MAIN, percent, place
from inserter.scoring.table import rows as score_rows

SCORERS = {"closed": closed.SCORER, "open": open_ended.SCORER, "adjustment": adjustment.SCORER}
FORM = "answers"  # of a record that names no form
NAMES = {
    "closed": "Instructions followed, mean of strict and loose",
    "open": "Questions met",
    "adjustment": "Corrections followed",
}
SECOND = {"closed": "prompt", "open": "prompt", "adjustment": "ecr"}


class Above(TypedDict):
    """What closed-ended answers follow more than chance does, on the same prompts."""

    lang: str
    variant: str
    """"all" for all variants together; the prompt is then resampled with its variants."""
    form: str
    share: float | None
    """Followed."""
    difference: float
    """Followed less chance."""
    interval: Ends
    n_prompts: int


class Breakdown(TypedDict):
    """The scores of one file by language, variant and form."""

    by_variant: Scores
    above_chance: list[Above]
    """Empty if the file has no responses, or fewer than four records in a variant."""


def scored_rows(path: Path | str, task: str, mode: Mode = "robust") -> list[Row]:
    """Return the records of a file with their verdicts, those without a verdict too.

    A record without `key`, `lang`, `variant` or `form` gets one, so that each row has its place.
    """
    found = []
    for number, raw in raw_records(path):
        row = SCORERS[task].raw_row(number, raw, mode)
        try:
            record = value(raw)
        except ValueError:
            record = None
        given = record if isinstance(record, dict) else {}
        names = {"key": str(given.get("key") or row["id"]), "lang": "", "variant": "", "form": FORM}
        found.append({**given, **{name: str(given.get(name) or default) for name, default in names.items()}, **row})
    return found


def breakdown(rows: Sequence[Row], task: str) -> Breakdown:
    """Return the scores of `scored_rows` by language, variant and form."""
    if task != "closed":
        groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in rows:
            groups[row["lang"], row["variant"], row["form"]].append(row)
        table: dict[str, dict[str, dict[str, Cell]]] = {}
        for (lang, variant, form), group in sorted(groups.items()):
            cells = table.setdefault(lang, {}).setdefault(variant, {})
            cells[form] = judged_cell(task, f"{lang} {variant} {form}", group)
        return {"by_variant": cast(Scores, {task: table}), "above_chance": []}
    by_form: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_form[row["form"]].append(row)
    closed_cells: dict[str, dict[str, dict[str, ClosedCell]]] = {}
    above: list[Above] = []
    for form, group in sorted(by_form.items()):
        dealt = deals(group, form) if all("response" in row for row in group if row["strict"] is not None) else {}
        for lang, variants in closed_table(group, dealt, form).items():
            for variant, found in variants.items():
                closed_cells.setdefault(lang, {}).setdefault(variant, {}).update(_named(found, form, alone=len(by_form) == 1))
        above += _above(group, dealt, form)
    return {"by_variant": cast(Scores, {"closed": closed_cells}), "above_chance": above}


def _named(cells: Mapping[str, ClosedCell], form: str, *, alone: bool) -> dict[str, ClosedCell]:
    """Return the cells; chance is named after its form unless the file has one form alone."""
    return {name if name != CHANCE or alone else f"{CHANCE} of {form}": cell for name, cell in cells.items()}


def _above(rows: Sequence[Row], dealt: Mapping[tuple[str, str], Sequence[Mapping[str, object]]], form: str) -> list[Above]:
    found: list[Above] = []
    for lang in sorted({lang for lang, _ in dealt}):
        variants = sorted((v for one, v in dealt if one == lang), key=lambda v: (v != "standard", v))
        groups = {variant: (variant,) for variant in variants} | ({ALL: tuple(variants)} if len(variants) > 1 else {})
        for name, members in groups.items():
            answered = [row for row in rows if row["lang"] == lang and row["variant"] in members]
            pairs = paired(answered, [row for member in members for row in dealt[lang, member]], together=name == ALL)
            if pairs is None:
                continue
            difference, asked = pairs
            found.append(
                {
                    "lang": lang,
                    "variant": name,
                    "form": form,
                    "share": share_by_prompt(answered)[0],
                    "difference": float(np.sum(difference) / np.sum(asked)),
                    "interval": share_interval(difference, asked, lang, name, form, CHANCE),
                    "n_prompts": len(asked),
                }
            )
    return found


def render(found: Breakdown, task: str) -> str:
    """Return the breakdown as text: a line per language, variant and form, in per cent."""
    above = {(one["lang"], one["variant"], one["form"]): one for one in found["above_chance"]}
    cells = {(row["lang"], row["variant"], row["form"]): row for row in score_rows(found["by_variant"])}
    shown = [row for row in cells.values() if not row["form"].startswith(CHANCE)]
    alone = len({row["form"] for row in shown}) == 1
    lines = [["", MAIN[task], "95 %", SECOND[task], *(["chance", "above chance (95 %)"] if above else []), "n"]]
    for row in sorted(shown, key=lambda row: (place(task, row["lang"]), row["variant"] != "standard", row["variant"], row["form"])):
        lang, variant, form = row["lang"], row["variant"], row["form"]
        chance = cells.get((lang, variant, CHANCE if alone else f"{CHANCE} of {form}"))
        more = [percent(chance["share"] if chance else None), _difference(above.get((lang, variant, form)))] if above else []
        ends = "" if row["low"] is None else f"{percent(row['low'])} to {percent(row['high'])}"
        lines.append([_name(lang, variant, form), percent(row["share"]), ends, percent(row["second"]), *more, str(row["n"])])
    for one in (one for one in found["above_chance"] if one["variant"] == ALL and one["share"] is not None):
        chance_share = percent((one["share"] or 0.0) - one["difference"])
        name = _name(one["lang"], "all variants", one["form"])
        lines.append([name, percent(one["share"]), "", "", chance_share, _difference(one), str(one["n_prompts"])])
    return f"{NAMES[task]}, in per cent\n{_aligned(lines)}"


def _name(lang: str, variant: str, form: str) -> str:
    return " ".join(filter(None, (lang, variant, form if form != FORM else ""))) or "all"


def _difference(one: Above | None) -> str:
    if one is None:
        return ""
    ends = "" if one["interval"] is None else " ({:+.1f} to {:+.1f})".format(*(100 * end for end in one["interval"]))
    return f"{100 * one['difference']:+.1f}{ends}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    pad = [str.ljust, *[str.rjust] * (len(widths) - 1)]
    return "\n".join("  ".join(p(cell, width) for p, cell, width in zip(pad, line, widths, strict=True)).rstrip() for line in lines)
