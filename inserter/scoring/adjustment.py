"""Score corrected instructions: from a file of judged records to IAR and ECR.

Rules and modes: docs/SCORING.md.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from inserter.scoring import records, votes
from inserter.scoring.ifeval.arguments import Mode, Unscorable
from inserter.scoring.records import Drops, Given, Row, Scorer

__all__ = ["FIELDS", "aggregate", "render", "score_file", "score_record"]

AFTER, BEFORE, CONTENT = "follow_after_adjust", "follow_before_adjust", "after_adjust_content_correct"
FIELDS = (AFTER, BEFORE, CONTENT)  # in the order in which the reference reads them
Votes = dict[str, list[object]]


def score_record(record: object, mode: Mode = "robust", line: int = 0) -> Row:
    """Return {"id", "counted": True, "iar": 0 or 1, "ecr": 0 or 1}.

    iar: the corrected instruction is followed, and rightly. ecr: the instruction before the
    correction is followed. A record without a verdict gives {"id", "counted": False, "iar": None,
    "ecr": None, "reason", "error"}.
    """
    return SCORER.row(record, mode, line)


def _verdict(record: object, mode: Mode) -> Row:
    found = votes.replies(records.as_object(record), mode)
    given = _reference(found) if mode == "reference" else _robust(found)
    if not any(given.values()):
        raise Unscorable("no usable reply", f"none of {len(found)} replies is an object with one of the fields")
    if missing := [name for name in FIELDS if not given[name]]:
        raise Unscorable("no vote", f"no reply votes on {', '.join(missing)}")
    after, before, content = (votes.mode_of(given[name]) == votes.YES for name in FIELDS)
    return {"counted": True, "iar": int(after and content), "ecr": int(before)}


def _stands(row: Row) -> bool:
    return row["counted"] is True and row["iar"] in (0, 1) and row["ecr"] in (0, 1)


SCORER = Scorer("adjustment", _verdict, {"counted": False, "iar": None, "ecr": None}, _stands)


def _reference(replies: list[object]) -> Votes:
    """Return the votes of replies that are JSON objects with nothing around them.

    A reply votes with the fields before the first field that it lacks.
    """
    given: Votes = {name: [] for name in FIELDS}
    for reply in replies:
        value = _loaded(reply)
        for name in FIELDS:
            if not isinstance(value, dict) or name not in value:
                break
            given[name].append(value[name])
    return given


def _loaded(reply: object) -> object:
    """Return the value of a JSON reply, or None if the reply is not JSON.

    Raise Unscorable where the reference's run would end: nested too deep, or too many digits.
    """
    try:
        return json.loads(reply) if isinstance(reply, str) else None
    except json.JSONDecodeError:
        return None
    except (ValueError, RecursionError) as error:
        raise Unscorable("unusable vote", f"a reply is not readable JSON: {error}") from error


def _robust(replies: list[object]) -> Votes:
    """Return every field that says yes or no as a vote, whatever else the reply lacks."""
    read = [found for reply in replies if (found := votes.judgement(reply, FIELDS))]
    return {name: [vote for found in read if (vote := found.get(name))] for name in FIELDS}


class Tally:
    """Running counts over the rows of `score_record`."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.drops = Drops()

    def add(self, row: Given) -> None:
        if not row["counted"]:
            self.drops.add(row)
            return
        self.counts["n"] += 1
        for metric in ("iar", "ecr"):
            self.counts[metric] += row[metric]

    def result(self) -> Row:
        n, drops = self.counts["n"], self.drops.result()
        rates = {metric: self.counts[metric] / n if n else None for metric in ("iar", "ecr")}
        return {**rates, "n": n + drops["n_dropped"], "n_counted": n, **drops}


def aggregate(rows: Iterable[Row]) -> Row:
    """Return iar (higher is better) and ecr (lower is better), as means over the counted records.

    The means are None if nothing was counted. n = n_counted + n_dropped. `dropped` counts by
    reason, and `dropped_examples` names the first ten.
    """
    return records.total(rows, Tally())


def score_file(path: Path | str, mode: Mode = "robust", details: Path | str | None = None, *, workers: int = 0) -> Row:
    """Return `aggregate` over a file of records, and "mode": see `records.score_file`."""
    return records.score_file(path, SCORER, Tally(), mode=mode, details=details, workers=workers)


def render(result: Row) -> str:
    """Return the result of `score_file` in words and per cent, with what was dropped and why."""
    lines = [
        f"IAR      {records.percent(result['iar']):>13} (the corrected instruction is followed: higher is better)",
        f"ECR      {records.percent(result['ecr']):>13} (the one before the correction is: lower is better)",
        f"counted  {result['n_counted']:>13} of {result['n']} records",
    ]
    return "\n".join([*lines, *records.dropped_lines(result, result["n"])])
