"""What closed-ended answers follow by chance: each one checked against other prompts of its set than its own.

Many checks pass whatever was asked ("no comma", "fewer than 90 words"): a model that hears nothing (gap closed -0.002) followed
20.4 % of the instructions of 100 spoken prompts, and chance was 18.9 % (docs/RESULTS.md, group adapter). Only what lies
above chance was understood.
"""

from typing import Any

from inserter.scoring.closed import aggregate, score_record

Row = dict[str, Any]
DEALS = 32  # other prompts that an answer is checked against: with 8 the figure moved by half a point


def chance(rows: list[Row]) -> dict[str, Any] | None:
    """`aggregate` of `deal`; None where it is empty."""
    return aggregate(dealt) if (dealt := deal(rows)) else None


def deal(rows: list[Row]) -> list[Row]:
    """The verdicts on the rows' answers, each checked against DEALS prompts a quarter to three quarters of the set away: for each
    prompt as many rows, with its key and variant.

    By key, prompts of one instruction type stand together, so that an answer meets other types than it was asked for. Empty
    for fewer than four rows with a verdict. The same rows in any order give the same result.
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
