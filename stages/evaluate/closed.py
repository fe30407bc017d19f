"""Closed-ended scoring: a file of SpeechInstructBench's records with responses -> prompt and instruction accuracy.

Rules and the two modes: docs/SCORING.md. All scores are fractions, 0 to 1.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from reprlib import repr as short
from typing import Any

from tqdm import tqdm

from stages.common.errors import InserterError
from stages.common.executor import cores, ordered_map
from stages.common.files import write_jsonl
from stages.common.ifeval import Mode, Unscorable, verdicts

CHUNK = 250  # records a task
SMALL_FILE = 16 * 2**20  # bytes, some 16,000 records: one process scores 2,000 a second, and others take seconds to start
EXAMPLES = 10  # dropped records that the result names

Line = tuple[int, bytes]


def score_record(record: Any, mode: Mode = "robust", line: int = 0) -> dict[str, Any]:
    """The verdicts on one record: {"id", "strict": [bool...], "loose": [bool...]}, one an instruction.

    A record that cannot be scored gives {"id", "strict": None, "loose": None, "reason", "error"}: `reason` is the class
    it is counted under, `error` says what exactly is wrong. id: the record's `id`, else its `key`, else `line`.
    """
    name = _identity(record, line)
    try:
        strict, loose = verdicts(*_fields(record, mode), mode)
    except Unscorable as error:
        return _dropped(name, error)
    return {"id": name, "strict": strict, "loose": loose}


def _identity(record: Any, line: int) -> str | int:
    for field in ("id", "key"):
        value = record.get(field) if isinstance(record, dict) else None
        if isinstance(value, str):
            return _writable(value)
        if isinstance(value, int):
            return value
    return line


def _fields(record: Any, mode: Mode) -> tuple[list, list, str]:
    """(instruction_id_list, kwargs, response), or Unscorable. A null response is blank in robust mode."""
    if not isinstance(record, dict):
        raise Unscorable("malformed record", f"not an object: {short(record)}")
    ids, kwargs = record.get("instruction_id_list"), record.get("kwargs")
    if not isinstance(ids, list) or not ids:
        raise Unscorable("malformed record", f"instruction_id_list is not a list with something in it: {short(ids)}")
    if not isinstance(kwargs, list) or len(kwargs) != len(ids):
        raise Unscorable("malformed record", f"kwargs is not a list of {len(ids)}: {short(kwargs)}")
    if "response" not in record:
        raise Unscorable("no response", "the field is missing")
    response = record["response"]
    if response is None and mode == "robust":
        response = ""
    if not isinstance(response, str):
        raise Unscorable("no response", f"not text: {short(response)}")
    return ids, kwargs, response


def _writable(text: str) -> str:
    """JSON may hold half a surrogate pair, UTF-8 may not: it becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def _dropped(name: str | int, error: Unscorable) -> dict[str, Any]:
    return {"id": name, "strict": None, "loose": None, "reason": error.reason, "error": _writable(str(error))}


class Tally:
    """Running counts over the rows of `score_record`."""

    def __init__(self) -> None:
        self.prompts: Counter[str] = Counter()
        self.instructions: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.examples: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        if row["strict"] is None:
            self.reasons[row["reason"]] += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append({"id": row["id"], "error": row["error"]})
            return
        self.prompts["n"] += 1
        self.instructions["n"] += len(row["strict"])
        for kind in ("strict", "loose"):
            self.prompts[kind] += all(row[kind])
            self.instructions[kind] += sum(row[kind])

    def result(self) -> dict[str, Any]:
        scores: dict[str, Any] = {}
        for level, counts in (("prompt", self.prompts), ("instruction", self.instructions)):
            n = counts["n"]
            for kind in ("strict", "loose"):
                scores[f"{kind}-{level}"] = counts[kind] / n if n else None
            scores[f"mean-{level}"] = (counts["strict"] + counts["loose"]) / (2 * n) if n else None
            scores[f"n_{level}s"] = n
        dropped = sum(self.reasons.values())
        return {
            **scores,
            "n_records": self.prompts["n"] + dropped,
            "n_dropped": dropped,
            "dropped": dict(sorted(self.reasons.items())),
            "dropped_examples": self.examples,
        }


def aggregate(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Scores of the rows of `score_record`: strict-, loose- and mean- of prompt and instruction, with counts.

    prompt: the share of records whose every verdict is true; instruction: the share of true verdicts; mean: of strict
    and loose. None where nothing was scored. n_records = n_prompts + n_dropped; `dropped` counts by reason and
    `dropped_examples` names the first ten.
    """
    tally = Tally()
    for row in rows:
        tally.add(row)
    return tally.result()


def score_file(path: Path | str, mode: Mode = "robust", details: Path | str | None = None, workers: int = 0) -> dict:
    """`aggregate` over a JSONL file, and "mode". `details`: a file that gets one line a record, in order.

    workers: 0 is one a core for a big file and this process alone for a small one; the result is the same for any
    number. Memory does not grow with the file. Raises InserterError for a file that cannot be read or has no records; a
    record that cannot be scored is counted with its reason and never ends the run.
    """
    path = Path(path)
    if mode not in ("robust", "reference"):
        raise InserterError(f"unknown mode {mode!r}", "Choose robust or reference")
    if details is not None and Path(details).resolve() == path.resolve():
        raise InserterError(f"{details} is the file that is scored", "Give the details another name")
    if not workers:
        workers = cores() if path.is_file() and path.stat().st_size > SMALL_FILE else 1
    tally = Tally()
    rows = _tallied(_rows(_lines(path), mode, workers), tally)
    if details is None:
        for _ in rows:
            pass
    else:
        write_jsonl(details, rows)
    return {**tally.result(), "mode": mode}


def _tallied(rows: Iterable[dict], tally: Tally) -> Iterator[dict]:
    for row in tqdm(rows, desc="score", unit=" records", delay=5):
        tally.add(row)
        yield row


def _lines(path: Path) -> Iterator[Line]:
    """(line number from 1, bytes) of the lines that are not blank."""
    empty = True
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line := line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").strip():
                    empty = False
                    yield number, line
    except OSError as error:
        raise InserterError(f"{path} cannot be read ({error.strerror})", "Give a JSONL file of responses") from error
    if empty:
        raise InserterError(f"{path} has no records", "Give one JSON object a line")


def _rows(lines: Iterator[Line], mode: Mode, workers: int) -> Iterator[dict[str, Any]]:
    tasks = ((chunk, mode) for chunk in _chunks(lines))
    return chain.from_iterable(ordered_map(_score_chunk, tasks, workers))


def _chunks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while chunk := list(islice(lines, CHUNK)):
        yield chunk


def _score_chunk(task: tuple[list[Line], Mode]) -> list[dict[str, Any]]:
    chunk, mode = task
    return [_score_line(number, line, mode) for number, line in chunk]


def _score_line(number: int, line: bytes, mode: Mode) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return _dropped(number, Unscorable("not JSON", f"line {number}: {error}"))
    return score_record(record, mode, number)


def render(result: dict[str, Any]) -> str:
    """The result of `score_file` as a small table, percentages, and what was dropped and why."""
    lines = [f"{'':8}{'prompt':>13}{'instruction':>13}"]
    for kind in ("strict", "loose", "mean"):
        cells = [result[f"{kind}-{level}"] for level in ("prompt", "instruction")]
        lines.append(f"{kind:8}" + "".join(f"{'not measured' if c is None else f'{100 * c:.2f} %':>13}" for c in cells))
    lines.append(f"{'n':8}{result['n_prompts']:>13}{result['n_instructions']:>13}")
    if result["n_dropped"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in result["dropped"].items())
        lines.append(f"dropped {result['n_dropped']} of {result['n_records']} records: {reasons}")
        lines += [f"  {example['id']}: {example['error']}" for example in result["dropped_examples"]]
    return "\n".join(lines)
