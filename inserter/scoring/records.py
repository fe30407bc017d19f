"""What the three scorers share: a file's lines to rows in order, over processes.

Whose row it is, what has no verdict and why, and how it is told.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from reprlib import repr as short
from typing import Any, Protocol

from tqdm import tqdm

from inserter.errors import InserterError
from inserter.run.executor import cores, ordered_map
from inserter.scoring.ifeval.arguments import Mode, Unscorable
from inserter.scoring.recordfiles import Raw, check_name, raw_records, value, write_records

Row = dict[str, Any]
TASKS = ("closed", "open", "adjustment")
MODES = ("robust", "reference")
SCORED_BEFORE = "as in the file"  # the mode of a file of verdicts, which are summed up as they stand
CHUNK = 250  # records a task
SMALL_FILE = 64 * 2**20  # bytes: one process scores 13 MB a second, and others take 2 to 5 s to start
EXAMPLES = 10  # records without a verdict that the result names


@dataclass(frozen=True)
class Scorer:
    """The scorer of a task. verdict(record, mode): the row of a record without its id; raises Unscorable. nothing: the row
    where it does. stands(row): whether what a row of ours holds is a verdict."""

    task: str
    verdict: Callable[[Any, Mode], Row]
    nothing: Row
    stands: Callable[[Row], bool]

    def row(self, record: Any, mode: Mode, line: int = 0) -> Row:
        """{"id", ...}; without a verdict also "reason", the class it is counted under, and "error", what is wrong.

        A row of ours, from --details or under `judged`, stays as it is.
        """
        name = identity(record, line)
        try:
            if own := self.own_row(record):
                return {**own, "id": name}
            if isinstance(record, dict) and record.get("task") in TASKS and record["task"] != self.task:
                raise Unscorable("another task", record["task"])
            return {"id": name, **self.verdict(record, mode)}
        except Unscorable as error:
            return self._without_verdict(name, error)
        except RecursionError:
            return self._without_verdict(name, Unscorable("malformed record", "nested too deep"))

    def own_row(self, record: Any) -> Row | None:
        """The row of ours that `record` is, or that stands under `judged` of an answer of the evaluate stage."""
        if not isinstance(record, dict):
            return None
        if isinstance(record.get("judged"), dict) and "pred_score" not in record:
            return self.own_row(record["judged"])
        row = {name: value for name, value in record.items() if value is not None or name in self.nothing}
        if not self.nothing.keys() <= row.keys() or row.keys() - self.nothing.keys() - {"id", "reason", "error"}:
            return None
        dropped = all(row[name] == value for name, value in self.nothing.items())
        told = isinstance(row.get("reason"), str) and isinstance(row.get("error"), str)
        return row if (dropped and told) or self.stands(row) else None

    def raw_row(self, number: int, raw: Any, mode: Mode) -> Row:
        try:
            record = value(raw)
        except ValueError as error:
            return self._without_verdict(number, Unscorable("not JSON", f"line {number}: {error}"))
        return self.row(record, mode, number)

    def _without_verdict(self, name: str | int, error: Unscorable) -> Row:
        return {"id": name, **self.nothing, "reason": error.reason, "error": writable(str(error))}


def identity(record: Any, line: int) -> str | int:
    """The record's `id`, else its `key`, else `line`."""
    for field in ("id", "key"):
        name = record.get(field) if isinstance(record, dict) else None
        if isinstance(name, str):
            return writable(name)
        if isinstance(name, float) and name.is_integer():  # what pandas makes of whole numbers where one is missing
            name = int(name)
        if isinstance(name, int):
            return name
    return line


def writable(text: str) -> str:
    """JSON may hold half a surrogate pair, UTF-8 may not: it becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def as_object(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise Unscorable("malformed record", f"not an object: {short(record)}")
    return record


class Drops:
    """Records without a verdict: how many by reason, and the first ten by id."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.examples: list[Row] = []

    def add(self, row: Row) -> None:
        self.reasons[row["reason"]] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append({"id": row["id"], "error": row["error"]})

    def result(self) -> Row:
        """{"n_dropped", "dropped": {reason: count}, "dropped_examples": [{"id", "error"}]}"""
        return {
            "n_dropped": self.reasons.total(),
            "dropped": dict(sorted(self.reasons.items())),
            "dropped_examples": self.examples,
        }


class Tally(Protocol):
    """Running counts over rows."""

    def add(self, row: Row) -> None: ...

    def result(self) -> Row: ...


def total(rows: Iterable[Row], tally: Tally) -> Row:
    """What `tally` says of all `rows`."""
    for row in rows:
        tally.add(row)
    return tally.result()


def score_file(
    path: Path | str,
    scorer: Scorer,
    tally: Tally,
    mode: Mode = "robust",
    details: Path | str | None = None,
    workers: int = 0,
) -> Row:
    """The tally over the rows of a file of records, and "mode". `details`: a file that gets one row a record, in order.

    workers: 0 is one a core for a big file and this process alone for a small one; the result is the same for any
    number. Memory does not grow with the file. Raises InserterError for a file that cannot be read or has no records; a
    record that cannot be scored is counted with its reason and never ends the run.
    """
    path = Path(path)
    if mode not in MODES:
        raise InserterError(f"unknown mode {mode!r}", "Choose robust or reference")
    if details is not None:
        check_name(details)
        if Path(details).resolve() == path.resolve():
            raise InserterError(f"{details} is the file that is scored", "Give the details another name")
    if not workers:
        workers = cores() if path.is_file() and path.stat().st_size > SMALL_FILE else 1
    raws = raw_records(path)
    first = next(raws)
    scored_before = scorer.own_row(_value_or_none(first[1])) is not None
    rows = _tallied(_rows(chain([first], raws), scorer, mode, workers), tally)
    if details is None:
        deque(rows, maxlen=0)
    else:
        write_records(details, rows)
    return {**tally.result(), "mode": SCORED_BEFORE if scored_before else mode}


def _value_or_none(raw: Any) -> Any:
    try:
        return value(raw)
    except ValueError:
        return None


def _tallied(rows: Iterator[Row], tally: Tally) -> Iterator[Row]:
    for row in tqdm(rows, desc="score", unit=" records", delay=5):
        tally.add(row)
        yield row


def _rows(raws: Iterator[Raw], scorer: Scorer, mode: Mode, workers: int) -> Iterator[Row]:
    tasks = ((chunk, scorer, mode) for chunk in _chunks(raws))
    return chain.from_iterable(ordered_map(_score_chunk, tasks, workers))


def _chunks(raws: Iterator[Raw]) -> Iterator[list[Raw]]:
    while chunk := list(islice(raws, CHUNK)):
        yield chunk


def _score_chunk(task: tuple[list[Raw], Scorer, Mode]) -> list[Row]:
    chunk, scorer, mode = task
    return [scorer.raw_row(number, raw, mode) for number, raw in chunk]


def dropped_lines(result: Row, records: int) -> list[str]:
    """What `render` says of the records without a verdict; nothing where there are none."""
    if not result["n_dropped"]:
        return []
    reasons = ", ".join(f"{reason} {count}" for reason, count in result["dropped"].items())
    examples = [f"  {example['id']}: {example['error']}" for example in result["dropped_examples"]]
    return [f"dropped {result['n_dropped']} of {records} records: {reasons}", *examples]


def percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.2f} %"
