"""Compare the number of prompts and instructions with the published data set.

A partial copy is reported as partial. The published counts are inferred from the published
percentages, which are multiples of 1/n. The counts of the open-ended task are approximate.
"""

from collections import Counter

from inserter.run.runner import say
from inserter.tables import VARIANTS, Item

# Per variant.
CLOSED = {"en": {"prompts": 454, "instructions": 699}, "cn": {"prompts": 434, "instructions": 623}}
OPEN = {"en": {"prompts": 434}, "cn": {"prompts": 434}}
ADJUSTMENT = {"prompts": 502}  # both languages together


def published() -> dict[str, dict[str, int]]:
    """Return {part: {"prompts": n, "instructions": n}}, the second for closed-ended parts only.

    A part is task/lang/variant. The whole adjustment task is one part.
    """
    closed = {f"closed/{lang}/{variant}": counts for lang, counts in CLOSED.items() for variant in VARIANTS}
    return closed | {f"open/{lang}/standard": counts for lang, counts in OPEN.items()} | {"adjustment": ADJUSTMENT}


def compare(rows: list[Item]) -> dict[str, dict[str, dict[str, int]]]:
    """Return {part: {"prompts": {"published": n, "here": n}, ...}} for the items `rows`.

    Write a line to standard error if the counts differ.
    """
    here: Counter[tuple[str, str]] = Counter()
    for row in rows:
        part = row["task"] if row["task"] == "adjustment" else f"{row['task']}/{row['lang']}/{row['variant']}"
        here[part, "prompts"] += 1
        here[part, "instructions"] += len(row["instruction_id_list"])
    found = {
        part: {unit: {"published": count, "here": here[part, unit]} for unit, count in counts.items()}
        for part, counts in published().items()
    }
    different = [
        f"{part} {units['prompts']['here']} of {units['prompts']['published']}"
        for part, units in found.items()
        if any(unit["published"] != unit["here"] for unit in units.values())
    ]
    if different:
        say(f"benchmark: prompt counts differ from the published benchmark: {', '.join(different)}")
    return found
