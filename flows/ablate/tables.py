"""Write docs/RESULTS.md from docs/results.json and docs/prompts.jsonl.

A group's tables stand between markers, so that the prose around them stays.
"""

import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from tabulate import tabulate

from flows.ablate.arms import TWO_HOURS, Arms
from flows.ablate.curves import Curve, draw, drawable
from flows.ablate.paired import difference
from flows.ablate.results import FORMS, Row
from inserter.files import atomic

PAGE = Path("docs/RESULTS.md")
TITLE = """# Results

`inserter ablate --tables` makes the tables from `results.json` and `prompts.jsonl`.
The command keeps all text outside the tables' markers.
"""
FEW = 3  # number of seeds from which a mean and a range are shown


def _number(digits: int, factor: float = 1.0) -> Callable[[float], str]:
    return lambda value: f"{value * factor:,.{digits}f}"


COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {  # heading: (field, how it is shown)
    "gap closed": ("gap_closed", _number(3)),
    "unseen voice": ("unseen_gap", _number(3)),
    "cascade": ("cascade_gap", _number(3)),
    "heard − cascade": ("heard_minus_cascade", _number(3)),
    "KL(read ‖ heard)": ("kl_read_heard", _number(3)),
    "KL(base ‖ model)": ("kl_base_model", _number(3)),
    "heard, %": ("heard", _number(1, 100)),
    "read, %": ("read", _number(1, 100)),
    "heard, all variants, %": ("heard_all", _number(1, 100)),
    "by chance, %": ("heard_chance", _number(1, 100)),
    "read, the same variants, %": ("read_all", _number(1, 100)),
    "by chance, read, %": ("read_chance", _number(1, 100)),
    "text drift, %": ("text_nll_drift", _number(1, 100)),
    "transcript loss": ("transcript_nll", _number(3)),
    "token error": ("token_error", _number(3)),
    "positions": ("positions", _number(0)),
    "hours": ("hours", _number(2)),
}


# These fields get no column if no row of a group has them.
YOUNGER = {"cascade_gap", "heard_minus_cascade", "kl_read_heard", "kl_base_model"}


def write_page(rows: list[Row], prompts: list[Row], arms: Arms, *, page: Path = PAGE) -> None:
    """Renew the tables of `page`, or begin it.

    The same rows give the same bytes. A group without a row has no table. A table of a group that
    `arms` does not name stays as it is, since nothing is known of its arms.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else TITLE
    order = [*arms.groups, *sorted({row["group"] for row in rows} - set(arms.groups))]
    known = {*arms.groups, TWO_HOURS}
    for group in order:
        mine = [row for row in rows if row["group"] == group]
        if mine and (group in known or f"<!-- results: {group} -->" not in text):
            asked = [row for row in prompts if row["group"] == group]
            text = _placed(
                text, group, _section(mine, group, arms) + _pairs(asked, group, arms) + _curves(mine, group, page.parent)
            )
    atomic(page, lambda path: path.write_text(text, encoding="utf-8"))


def _placed(text: str, group: str, section: str) -> str:
    begin, end = f"<!-- results: {group} -->", f"<!-- /results: {group} -->"
    block = f"{begin}\n{section}\n{end}"
    if begin in text and end in text:
        return re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: block, text, flags=re.DOTALL)
    return f"{text.rstrip()}\n\n## {group}\n\n{block}\n"


def _section(rows: list[Row], group: str, arms: Arms) -> str:
    known = list(arms.groups[group].arms) if group in arms.groups else []
    rows = sorted(rows, key=lambda row: (known.index(row["arm"]) if row["arm"] in known else len(known), row["arm"], row["seed"]))
    there = {field for row in rows for field, value in row.items() if value is not None}
    columns = {heading: column for heading, column in COLUMNS.items() if column[0] in there or column[0] not in YOUNGER}
    lines, commands = [], []
    for arm, found in groupby(rows, key=lambda row: row["arm"]):
        mine = list(found)
        lines.append([arm, ", ".join(str(row["seed"]) for row in mine), *(_cell(mine, *column) for column in columns.values())])
        commands += [f"- `{row['command']}` at {row['commit'][:12]}" for row in mine]
    table = tabulate(lines, ["arm", "seeds", *columns], tablefmt="github", disable_numparse=True)
    commits = {row["commit"] for row in rows}
    mixed = "\n\n**Different commits:** figures over several seeds or arms mix these commits." if len(commits) > 1 else ""
    about = f"{arms.groups[group].about}.\n\n" if group in arms.groups else ""
    return f"{about}{table}{mixed}\n\nMade by\n" + "\n".join(commands)


def _pairs(prompts: list[Row], group: str, arms: Arms) -> str:
    """Return a table of one arm of the group less each other arm, over the same prompts.

    Return "" if there are no two arms.
    """
    known = list(arms.groups[group].arms) if group in arms.groups else []
    found = {arm: mine for arm in known if (mine := [row for row in prompts if row["arm"] == arm])}
    first = arms.groups[group].compared if known else None
    first = first or next(iter(found), None)
    if first not in found or len(found) < 2:
        return ""
    lines = [
        [f"{first} − {arm}", *(_difference(found[first], found[arm], form, group, first, arm) for form in FORMS)]
        for arm in found
        if arm != first
    ]
    table = tabulate(lines, ["difference in points", *(f"{form}, all variants" for form in FORMS)], tablefmt="github")
    return f"\n\nMeans over an arm's seeds on the same prompts, with 95 % intervals over the prompts:\n\n{table}"


def _curves(rows: list[Row], group: str, folder: Path) -> str:
    """Draw the curves of the group's arms to `folder`, and return the line that shows them.

    Arms of the same curve, which differ in fine-tuning alone, are drawn once. Return "" if no curve
    has enough points.
    """
    drawn: dict[str, Curve] = {}
    for row in sorted(rows, key=lambda row: len(row["arm"])):
        curve = [(positions, gap) for positions, gap in row.get("gap_by_positions") or []]
        if len(curve) > 1 and curve not in drawn.values():
            drawn[f"{row['arm']} {row['seed']}" if row["arm"] in drawn else row["arm"]] = curve
    if not drawable(drawn.values()):
        return ""
    draw(drawn, folder / f"{group}.png")
    return f"\n\n![The gap closed by hearing, by positions of pre-training]({group}.png)"


def _difference(one: list[Row], other: list[Row], form: str, *names: str) -> str:
    found = difference([row[form] for row in one], [row[form] for row in other], form, *names)
    if found is None:
        return "–"
    value, interval = found
    return f"{100 * value:+.1f}" + (f" [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]" if interval else "")


def _cell(rows: list[Row], field: str, shown: Callable[[float], str]) -> str:
    """Return the value or values of an arm; `–` if nothing was measured.

    One seed gives the value with its interval, two seeds both values. From three seeds on the cell
    has the mean and the range.
    """
    values = [row[field] for row in rows if row.get(field) is not None]
    if not values:
        return "–"
    if len(values) >= FEW and min(values) < max(values):
        return f"{shown(sum(values) / len(values))} ({shown(min(values))} to {shown(max(values))})"
    interval = rows[0].get(f"{field}_interval") if len(rows) == 1 else None
    if interval:
        return f"{shown(values[0])} [{shown(interval[0])}, {shown(interval[1])}]"
    return ", ".join(dict.fromkeys(map(shown, values)))
