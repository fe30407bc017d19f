"""Score closed-ended answers: from a file of records to prompt and instruction accuracy.

The records are SpeechInstructBench's, with responses. Rules and the two modes: docs/SCORING.md. All
scores are fractions, 0 to 1.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as short
from typing import Any

from inserter.scoring import records
from inserter.scoring.ifeval import Mode, Unscorable, verdicts
from inserter.scoring.records import CHUNK, Drops, Given, Row, Scorer
from inserter.scoring.structures import instructions

__all__ = ["CHUNK", "aggregate", "render", "score_file", "score_record"]


def score_record(record: object, mode: Mode = "robust", line: int = 0) -> Row:
    """Return {"id", "strict": [bool...], "loose": [bool...]}, with one verdict per instruction.

    A record that cannot be scored gives {"id", "strict": None, "loose": None, "reason", "error"}.
    `reason` is the class under which the record is counted, and `error` says what exactly is wrong.
    id: the record's `id`, else its `key`, else `line`.
    """
    return SCORER.row(record, mode, line)


def _verdict(record: object, mode: Mode) -> Row:
    strict, loose = verdicts(*_fields(record, mode), mode=mode)
    return {"strict": strict, "loose": loose}


def _stands(row: Row) -> bool:
    lists = (row["strict"], row["loose"])
    return all(isinstance(found, list) and found and all(isinstance(one, bool) for one in found) for found in lists)


SCORER = Scorer("closed", _verdict, {"strict": None, "loose": None}, _stands)


def _fields(record: object, mode: Mode) -> tuple[list[Any], list[object], str]:
    """Return (instruction_id_list, kwargs, response), or raise Unscorable.

    In robust mode a null response is blank.
    """
    record = records.as_object(record)
    ids, kwargs = instructions(record)
    if not isinstance(ids, list) or not ids:
        raise Unscorable("malformed record", f"instruction_id_list is not a list with at least one name: {short(ids)}")
    if not isinstance(kwargs, list) or len(kwargs) != len(ids):
        raise Unscorable("malformed record", f"kwargs is not a list of {len(ids)} objects: {short(kwargs)}")
    if "response" not in record:
        why = f" ({record['error']})" if isinstance(record.get("error"), str) else ""  # as `inserter answer` says
        raise Unscorable("no response", f"the field response is missing{why}")
    response = record["response"]
    # pandas writes null as NaN, which differs from itself.
    if mode == "robust" and (response is None or response != response):
        response = ""
    if not isinstance(response, str):
        raise Unscorable("no response", f"response is not text: {short(response)}")
    return ids, kwargs, response


class Tally:
    """Running counts over the rows of `score_record`."""

    def __init__(self) -> None:
        self.prompts: Counter[str] = Counter()
        self.instructions: Counter[str] = Counter()
        self.drops = Drops()

    def add(self, row: Given) -> None:
        if row["strict"] is None:
            self.drops.add(row)
            return
        self.prompts["n"] += 1
        self.instructions["n"] += len(row["strict"])
        for kind in ("strict", "loose"):
            self.prompts[kind] += all(row[kind])
            self.instructions[kind] += sum(row[kind])

    def result(self) -> Row:
        scores: Row = {}
        for level, counts in (("prompt", self.prompts), ("instruction", self.instructions)):
            n = counts["n"]
            for kind in ("strict", "loose"):
                scores[f"{kind}-{level}"] = counts[kind] / n if n else None
            scores[f"mean-{level}"] = (counts["strict"] + counts["loose"]) / (2 * n) if n else None
            scores[f"n_{level}s"] = n
        drops = self.drops.result()
        return {**scores, "n_records": self.prompts["n"] + drops["n_dropped"], **drops}


def aggregate(rows: Iterable[Given]) -> Row:
    """Return the strict, loose and mean scores of prompt and instruction, with counts.

    rows: of `score_record`. prompt: the share of records whose every verdict is true. instruction:
    the share of true verdicts. mean: of strict and loose. A score is None if nothing was scored.

    n_records = n_prompts + n_dropped. `dropped` counts by reason, and `dropped_examples` names the
    first ten.
    """
    return records.total(rows, Tally())


def score_file(path: Path | str, mode: Mode = "robust", details: Path | str | None = None, *, workers: int = 0) -> Row:
    """Return `aggregate` over a file of records, and "mode": see `records.score_file`."""
    return records.score_file(path, SCORER, Tally(), mode=mode, details=details, workers=workers)


def render(result: Row) -> str:
    """Return the result of `score_file` as a table in per cent, with what was dropped and why."""
    lines = [f"{'':8}{'prompt':>13}{'instruction':>13}"]
    for kind in ("strict", "loose", "mean"):
        cells = [records.percent(result[f"{kind}-{level}"]) for level in ("prompt", "instruction")]
        lines.append(f"{kind:8}" + "".join(f"{cell:>13}" for cell in cells))
    lines.append(f"{'n':8}{result['n_prompts']:>13}{result['n_instructions']:>13}")
    return "\n".join([*lines, *records.dropped_lines(result, result["n_records"])])
