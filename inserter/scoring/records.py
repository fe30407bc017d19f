"""Score the records of a file in order, over worker processes: what the three scorers share.

The module names each row, counts the records without a verdict, and reports the reasons.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from inserter.tables import TASKS

Row = dict[str, Any]
Given = Mapping[str, Any]  # a row that is only read, such as a Response of `inserter.evaluation`
MODES = ("robust", "reference")
SCORED_BEFORE = "as in the file"  # the mode of a file of verdicts, which are summed as they stand
CHUNK = 250  # records per task
# Bytes. One process scores 13 MB per second, and further processes take 2 to 5 s to start.
SMALL_FILE = 64 * 2**20
EXAMPLES = 10  # records without a verdict that the result names


@dataclass(frozen=True)
class Scorer:
    """The scorer of one task."""

    task: str
    verdict: Callable[[object, Mode], Row]
    """Returns the row of a record without its id, or raises Unscorable."""

    nothing: Row
    """The row of a record without a verdict."""

    stands: Callable[[Row], bool]
    """Returns whether a row that was scored before holds a verdict."""

    def row(self, record: object, mode: Mode, line: int = 0) -> Row:
        """Return the row of a record: {"id", ...}.

        Without a verdict the row also has "reason", the class under which the record is counted,
        and "error", what is wrong. A row that was scored before, from --details or under `judged`,
        stays as it is.
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

    def own_row(self, record: object) -> Row | None:
        """Return the row that was scored before, or None.

        The row is `record` itself, or stands under `judged` in an answer of the evaluate stage.
        """
        if not isinstance(record, dict):
            return None
        if isinstance(record.get("judged"), dict) and "pred_score" not in record:
            return self.own_row(record["judged"])
        row = {name: value for name, value in record.items() if value is not None or name in self.nothing}
        if not self.nothing.keys() <= row.keys() or row.keys() - self.nothing.keys() - {"id", "reason", "error"}:
            return None
        dropped = all(row[name] == value for name, value in self.nothing.items())
        explained = isinstance(row.get("reason"), str) and isinstance(row.get("error"), str)
        return row if (dropped and explained) or self.stands(row) else None

    def raw_row(self, number: int, raw: object, mode: Mode) -> Row:
        try:
            record = value(raw)
        except ValueError as error:
            return self._without_verdict(number, Unscorable("not JSON", f"line {number}: {error}"))
        return self.row(record, mode, number)

    def _without_verdict(self, name: str | int, error: Unscorable) -> Row:
        return {"id": name, **self.nothing, "reason": error.reason, "error": writable(str(error))}


def identity(record: object, line: int) -> str | int:
    """Return the record's `id`, else its `key`, else `line`."""
    for field in ("id", "key"):
        name = record.get(field) if isinstance(record, dict) else None
        if isinstance(name, str):
            return writable(name)
        # If a value is missing, pandas turns whole numbers into floats.
        if isinstance(name, float) and name.is_integer():
            name = int(name)
        if isinstance(name, int):
            return name
    return line


def writable(text: str) -> str:
    """Replace half a surrogate pair by a question mark: JSON may hold one, UTF-8 may not."""
    return text.encode("utf-8", "replace").decode()


def as_object(record: object) -> dict[str, object]:
    if not isinstance(record, dict):
        raise Unscorable("malformed record", f"the record is not an object: {short(record)}")
    return record


class Drops:
    """Records without a verdict: the number by reason, and the first ten by id."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.examples: list[Row] = []

    def add(self, row: Given) -> None:
        self.reasons[row["reason"]] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append({"id": row["id"], "error": row["error"]})

    def result(self) -> Row:
        """Return the number of records, in all and by reason, and the examples.

        Form: {"n_dropped", "dropped": {reason: count}, "dropped_examples": [{"id", "error"}]}.
        """
        return {
            "n_dropped": self.reasons.total(),
            "dropped": dict(sorted(self.reasons.items())),
            "dropped_examples": self.examples,
        }


class Tally(Protocol):
    """Running counts over rows."""

    def add(self, row: Given) -> None: ...

    def result(self) -> Row: ...


def total(rows: Iterable[Given], tally: Tally) -> Row:
    """Return the result of `tally` over all `rows`."""
    for row in rows:
        tally.add(row)
    return tally.result()


def score_file(
    path: Path | str,
    scorer: Scorer,
    tally: Tally,
    *,
    mode: Mode = "robust",
    details: Path | str | None = None,
    workers: int = 0,
) -> Row:
    """Return the tally over the rows of a file of records, and "mode".

    details: a file that gets one row per record, in order. workers: 0 is one per core for a big
    file, and this process alone for a small one. The result is the same for any number of workers.

    Memory does not grow with the file, except for JSON arrays (read or written) and details in
    Parquet. A record that cannot be scored is counted with its reason and never ends the run. Raise
    InserterError for a file that cannot be read or has no records.
    """
    path = Path(path)
    if mode not in MODES:
        raise InserterError(f"unknown mode {mode!r}", "Choose robust or reference")
    if details is not None:
        check_name(details)
        if Path(details).resolve() == path.resolve():
            raise InserterError(f"--details {details} is also the input file", "Give --details another name")
    if not workers:
        workers = cores() if path.is_file() and path.stat().st_size > SMALL_FILE else 1
    raws = raw_records(path)
    first = next(raws)
    scored_before = scorer.own_row(_value_or_none(first[1])) is not None
    rows = _tallied(_rows(chain([first], raws), scorer, mode, workers=workers), tally)
    if details is None:
        deque(rows, maxlen=0)
    else:
        write_records(details, rows)
    return {**tally.result(), "mode": SCORED_BEFORE if scored_before else mode}


def _value_or_none(raw: object) -> object:
    try:
        return value(raw)
    except ValueError:
        return None


def _tallied(rows: Iterator[Row], tally: Tally) -> Iterator[Row]:
    for row in tqdm(rows, desc="score", unit=" records", delay=5):
        tally.add(row)
        yield row


def _rows(raws: Iterator[Raw], scorer: Scorer, mode: Mode, *, workers: int) -> Iterator[Row]:
    tasks = ((chunk, scorer, mode) for chunk in _chunks(raws))
    return chain.from_iterable(ordered_map(_score_chunk, tasks, workers))


def _chunks(raws: Iterator[Raw]) -> Iterator[list[Raw]]:
    while chunk := list(islice(raws, CHUNK)):
        yield chunk


def _score_chunk(task: tuple[list[Raw], Scorer, Mode]) -> list[Row]:
    chunk, scorer, mode = task
    return [scorer.raw_row(number, raw, mode) for number, raw in chunk]


def dropped_lines(result: Row, records: int) -> list[str]:
    """Return the lines of `render` on records without a verdict; [] if there are none."""
    if not result["n_dropped"]:
        return []
    reasons = ", ".join(f"{reason} {count}" for reason, count in result["dropped"].items())
    examples = [f"  {example['id']}: {example['error']}" for example in result["dropped_examples"]]
    return [f"dropped {result['n_dropped']} of {records} records: {reasons}", *examples]


def percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.2f} %"
