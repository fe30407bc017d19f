"""Read the files of several systems, and tell the systems apart."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inserter.errors import InserterError
from inserter.scoring import recordfiles
from inserter.scoring.breakdown import FORM, Breakdown, breakdown, scored_rows
from inserter.tables import TASKS

NEEDED = ("item_id", "key", "task", "lang", "variant", "prompt")
REMEDY = "Give files of `inserter answer` or `inserter judge`, or responses.jsonl of the stage `evaluate`"


@dataclass
class System:
    """One system: a model in one form."""

    name: str
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{item_id: record with its verdict}."""

    def scores(self) -> dict[str, Breakdown]:
        """Return {task: scores by variant} of the tasks that the system answered."""
        by_task = {task: [row for row in self.rows.values() if row["task"] == task] for task in TASKS}
        return {task: breakdown(rows, task) for task, rows in by_task.items() if rows}


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Return the files, and those in the folders; a file's judged version stands in for the file.

    Raises InserterError for a folder without answers.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not inside:
            raise InserterError(f"{path} has no .jsonl file", REMEDY)
        found += [file for file in inside if file.with_name(f"{file.stem}-judged.jsonl") not in inside]
    return found


def systems(paths: Iterable[Path]) -> list[System]:
    """Return the systems whose answers the files hold, in the order of the files.

    A system is named after its model, or its file. Two files that answer the same items under one
    name are two systems.

    Raises InserterError if a file cannot be read, or holds no such records.
    """
    found: dict[str, System] = {}
    for path in files_of(paths):
        by_name: dict[str, dict[str, dict[str, Any]]] = {}
        for row in _rows(path):
            by_name.setdefault(_name(row, path), {})[row["item_id"]] = row
        for name, rows in by_name.items():
            known = found.get(name)
            if known and known.rows.keys() & rows.keys():
                name = f"{name} ({path})"
            found.setdefault(name, System(name)).rows.update(rows)
    return list(found.values())


def _name(row: dict[str, Any], path: Path) -> str:
    system = row.get("system")
    model = str(system.get("model")) if isinstance(system, dict) and system.get("model") else path.stem
    return model if row["form"] in ("heard", FORM) else f"{model}, {row['form']}"


def _rows(path: Path) -> list[dict[str, Any]]:
    tasks = {record.get("task") if isinstance(record, dict) else None for record in _records(path)}
    if not tasks <= {*TASKS}:
        raise InserterError(f"{path} has records of no task of the benchmark", REMEDY)
    rows = []
    for task in (task for task in TASKS if task in tasks):
        for row in scored_rows(path, task):
            if row["task"] != task:
                continue
            if lacking := [name for name in NEEDED if not row.get(name)]:
                raise InserterError(f"{path}: record {row['id']} lacks {', '.join(lacking)}", REMEDY)
            rows.append(row)
    return rows


def _records(path: Path) -> Iterable[object]:
    for number, raw in recordfiles.raw_records(path):
        try:
            yield recordfiles.value(raw)
        except ValueError as error:
            raise InserterError(f"{path}, record {number}: {error}", REMEDY) from error
