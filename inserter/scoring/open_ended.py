"""Score open-ended answers: from a file of judged records to prompt and instruction accuracy.

Rules and modes: docs/SCORING.md.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from inserter.scoring import records, votes
from inserter.scoring.ifeval.arguments import Mode, Unscorable
from inserter.scoring.records import Drops, Given, Row, Scorer

__all__ = ["aggregate", "render", "score_file", "score_record"]


def score_record(record: object, mode: Mode = "robust", line: int = 0) -> Row:
    """Return {"id", "counted": True, "votes": [...], "prompt_correct": bool}.

    There is one vote per decomposed question. Votes are "YES" and "NO" in robust mode, and whatever
    the judge wrote in reference mode. A record without a verdict gives {"id", "counted": False,
    "votes": [], "prompt_correct": None, "reason", "error"}.
    """
    return SCORER.row(record, mode, line)


def _verdict(record: object, mode: Mode) -> Row:
    record = records.as_object(record)
    found = votes.replies(record, mode)
    decided: Sequence[object] = _reference(found) if mode == "reference" else _robust(found, votes.expected_answers(record))
    correct = all(vote == votes.YES for vote in decided)
    return {"counted": True, "votes": [votes.plain(vote) for vote in decided], "prompt_correct": correct}


def _stands(row: Row) -> bool:
    return row["counted"] is True and isinstance(row["votes"], list) and isinstance(row["prompt_correct"], bool)


SCORER = Scorer("open", _verdict, {"counted": False, "votes": [], "prompt_correct": None}, _stands)


def _reference(replies: list[object]) -> list[object]:
    """Return the most frequent vote of each position, over the replies that are Python lists.

    Only the lists of the greatest length vote.
    """
    lists = [value for reply in replies if isinstance(value := votes.literal(reply), list)]
    longest = max(map(len, lists), default=0)
    if not longest:
        raise Unscorable("no usable reply", f"none of {len(replies)} replies is a list with an answer")
    return [votes.mode_of(position) for position in zip(*(found for found in lists if len(found) == longest), strict=True)]


def _robust(replies: list[object], expected: int | None) -> list[str]:
    """Return the most frequent vote of each question, over lists of yes and no.

    An abstention is no vote.
    """
    lists = [read for reply in replies if (read := votes.answers(reply, expected))]
    if not lists:
        raise Unscorable("no usable reply", f"none of {len(replies)} replies is a list of answers")
    length = expected or votes.common_length(lists)
    fitting = [read for read in lists if len(read) == length]
    if not fitting:
        lengths = sorted({len(read) for read in lists})
        raise Unscorable("wrong number of answers", f"{length} questions, but replies with {', '.join(map(str, lengths))} answers")
    given = [[vote for vote in position if vote] for position in zip(*fitting, strict=True)]
    if silent := [number for number, position in enumerate(given, 1) if not position]:
        raise Unscorable("no vote", f"no reply says yes or no to question {', '.join(map(str, silent))}")
    return [votes.mode_of(position) for position in given]


class Tally:
    """Running counts over the rows of `score_record`."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.drops = Drops()

    def add(self, row: Given) -> None:
        if not row["counted"]:
            self.drops.add(row)
            return
        self.counts["records"] += 1
        self.counts["correct"] += row["prompt_correct"]
        self.counts["votes"] += len(row["votes"])
        self.counts["yes"] += row["votes"].count(votes.YES)

    def result(self) -> Row:
        counts, drops = self.counts, self.drops.result()
        return {
            "prompt": counts["correct"] / counts["records"] if counts["records"] else None,
            "instruction": counts["yes"] / counts["votes"] if counts["votes"] else None,
            "n_instructions": counts["votes"],
            "n": counts["records"] + drops["n_dropped"],
            "n_counted": counts["records"],
            **drops,
        }


def aggregate(rows: Iterable[Row]) -> Row:
    """Return prompt and instruction accuracy over the counted records, with counts.

    prompt: the share of counted records with every vote YES. instruction: the share of YES among
    the votes of these records. Both are None if nothing was counted.

    n = n_counted + n_dropped. n_instructions is the number of votes. `dropped` counts by reason,
    and `dropped_examples` names the first ten.
    """
    return records.total(rows, Tally())


def score_file(path: Path | str, mode: Mode = "robust", details: Path | str | None = None, *, workers: int = 0) -> Row:
    """Return `aggregate` over a file of records, and "mode": see `records.score_file`."""
    return records.score_file(path, SCORER, Tally(), mode=mode, details=details, workers=workers)


def render(result: Row) -> str:
    """Return the result of `score_file` in words and per cent, with what was dropped and why."""
    lines = [
        f"prompt       {records.percent(result['prompt']):>13} of {result['n_counted']} records",
        f"instruction  {records.percent(result['instruction']):>13} of {result['n_instructions']} questions",
        f"counted      {result['n_counted']:>13} of {result['n']} records",
    ]
    return "\n".join([*lines, *records.dropped_lines(result, result["n"])])
