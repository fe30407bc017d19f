"""Compare what is followed heard and read, by instruction type and on the same items."""

from collections import defaultdict
from typing import Any

from stages.report.words import check_name

Row = dict[str, Any]
PAIRED = ("heard", "read")


def by_type(rows: list[Row]) -> dict[str, list[Row]]:
    """Return {lang: [{type, name, n, heard, read}]} of closed-ended rows.

    The greatest loss by hearing comes first. heard and read: the mean of strict and loose over n
    instructions. Only items that are scored in both forms count.
    """
    scored: dict[str, dict[str, Row]] = {form: {} for form in PAIRED}
    for row in rows:
        if row["task"] == "closed" and row["form"] in PAIRED and row.get("strict") is not None:
            scored[row["form"]][row["item_id"]] = row
    counts: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: dict.fromkeys(("n", *PAIRED), 0.0))
    for item in scored["heard"].keys() & scored["read"].keys():
        heard, read = scored["heard"][item], scored["read"][item]
        for place, kind in enumerate(heard["instruction_id_list"]):
            count = counts[heard["lang"], kind]
            count["n"] += 1
            count["heard"] += (heard["strict"][place] + heard["loose"][place]) / 2
            count["read"] += (read["strict"][place] + read["loose"][place]) / 2
    return _tables(counts)


def _tables(counts: dict[tuple[str, str], dict[str, float]]) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = defaultdict(list)
    for (lang, kind), count in counts.items():
        shares = {form: count[form] / count["n"] for form in PAIRED}
        tables[lang].append({"type": kind, "name": check_name(kind), "n": int(count["n"]), **shares})
    ordered = {lang: sorted(table, key=lambda row: (row["heard"] - row["read"], row["name"])) for lang, table in tables.items()}
    return dict(sorted(ordered.items()))
