"""Measure what closed-ended answers follow by chance: check each against other prompts of its set.

Many checks pass whatever was asked ("no comma", "fewer than 90 words"). A model that hears nothing
(gap closed -0.002) followed 20.4 % of the instructions of 100 spoken prompts. Chance was 18.9 %
(docs/RESULTS.md, group adapter). Only what lies above chance was understood.
"""

from collections.abc import Sequence

from inserter.scoring.closed import aggregate, score_record
from inserter.scoring.records import Given, Row

DEALS = 32  # other prompts per answer: with 8 the figure moved by half a point


def chance(rows: Sequence[Given]) -> Row | None:
    """Return `aggregate` of `deal`, or None if `deal` gives no rows."""
    return aggregate(dealt) if (dealt := deal(rows)) else None


def deal(rows: Sequence[Given]) -> list[Given]:
    """Return the verdicts on the rows' answers, each checked against up to DEALS other prompts.

    The other prompts stand a quarter to three quarters of the set away. Each prompt gets equally
    many rows, which have its key and variant. Sorted by key, prompts of one instruction type stand
    together, so that an answer meets other types than it was asked for.

    The result is empty for fewer than four rows with a verdict. The same rows in any order give the
    same result.
    """
    scored = sorted((row for row in rows if row["strict"] is not None), key=lambda row: (str(row["key"]), row["variant"]))
    if (count := len(scored)) < 4:
        return []
    steps = sorted({count // 4 + (count // 2) * deal // DEALS for deal in range(DEALS)})
    return [
        {name: row[name] for name in ("key", "variant")}
        | score_record({**row, "response": scored[(place + step) % count]["response"]})
        for step in steps
        for place, row in enumerate(scored)
    ]
