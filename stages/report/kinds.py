"""Compare what is followed heard and read, by instruction type and on the same items."""

from collections import defaultdict
from typing import TypedDict

from inserter.evaluation import Response
from inserter.page.browser.words import check_name
from inserter.tables import known

PAIRED = ("heard", "read")


class Row(TypedDict):
    """One instruction type."""

    type: str
    name: str
    n: int
    """Instructions."""
    heard: float
    """The mean of strict and loose over the instructions. So is `read`."""
    read: float


def by_type(rows: list[Response]) -> dict[str, list[Row]]:
    """Return {lang: rows} of closed-ended answers.

    The greatest loss by hearing comes first. Only items that are scored in both forms count.
    """
    scored: dict[str, dict[str, Response]] = {form: {} for form in PAIRED}
    for row in rows:
        if row["task"] == "closed" and row["form"] in PAIRED and row.get("strict") is not None:
            scored[row["form"]][row["item_id"]] = row
    counts: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: dict.fromkeys(("n", *PAIRED), 0.0))
    for item in scored["heard"].keys() & scored["read"].keys():
        heard, read = scored["heard"][item], scored["read"][item]
        for place, kind in enumerate(heard["instruction_id_list"]):
            count = counts[heard["lang"], kind]
            count["n"] += 1
            count["heard"] += _followed(heard, place)
            count["read"] += _followed(read, place)
    return _tables(counts)


def _followed(row: Response, place: int) -> float:
    return (known(row["strict"])[place] + known(row["loose"])[place]) / 2


def _tables(counts: dict[tuple[str, str], dict[str, float]]) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = defaultdict(list)
    for (lang, kind), count in counts.items():
        heard, read = (count[form] / count["n"] for form in PAIRED)
        tables[lang].append({"type": kind, "name": check_name(kind), "n": int(count["n"]), "heard": heard, "read": read})
    ordered = {lang: sorted(table, key=lambda row: (row["heard"] - row["read"], row["name"])) for lang, table in tables.items()}
    return dict(sorted(ordered.items()))
