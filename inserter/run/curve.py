"""The curve of a running training: a CSV file in its work folder, with a row per step.

Other processes read the file while the training writes it.
"""

import csv
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from inserter.files import atomic, read_json
from inserter.paths import WORK

TIMES = ("seconds", "positions_a_second")
RECENT = 20  # steps that the speed is of
Row = dict[str, float]


class CurveFile:
    """Writes the curve. The columns are `columns` and TIMES.

    `seconds` is the time since the row before. It includes checkpoints and measurements.
    """

    def __init__(self, path: Path, columns: Iterable[str]) -> None:
        self.path, self.columns = path, (*columns, *TIMES)
        self.file: TextIO | None = None
        self.last = 0.0

    def begin(self, curve: Iterable[Mapping[str, float]]) -> list[Row]:
        """Replace what the file has by `curve`, the steps done before, and return the rows.

        Their times are those that the file had.
        """
        times = {row["step"]: {name: row[name] for name in TIMES if name in row} for row in read_curve(self.path)}
        rows = [{**row, **times.get(row["step"], {})} for row in curve]
        atomic(self.path, lambda path: self._write(path, rows))
        self.file = self.path.open("a", newline="", encoding="utf-8", buffering=1)  # a line at a time
        self.last = time.monotonic()
        return rows

    def add(self, row: Mapping[str, float]) -> Row:
        """Write a row with its times, and return it."""
        assert self.file is not None
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        timed = {**row, "seconds": seconds, "positions_a_second": row["positions"] / max(seconds, 1e-9)}
        csv.DictWriter(self.file, self.columns).writerow(timed)
        return timed

    def close(self) -> None:
        if self.file is not None:
            self.file.close()

    def _write(self, path: Path, rows: Iterable[Row]) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(rows)


def budget_mark(stage: str) -> str:
    """Return the mark in a work folder under which the steps stand that fit into some minutes."""
    return f"{stage}-budget"


def _steps(folder: Path, stage: str) -> int:
    """Return the steps of the training whose work folder is `folder`."""
    budget = folder / f"{budget_mark(stage)}.done.json"
    found = read_json(budget) if budget.exists() else read_json(folder / "key.json")["params"][stage]
    return int(found["steps"])


def curve_path(folder: Path, stage: str) -> Path:
    return folder / f"{stage}-curve.csv"


def read_curve(path: Path) -> list[Row]:
    """Return the whole rows of the file; [] if there is none. What a row lacks is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(lines)]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training is."""

    done: int
    """Steps that are done."""

    steps: int
    loss: float
    """Of the last step."""

    speed: float | None
    """Positions per second over the last RECENT steps; None if no time was measured."""

    left: float | None
    """Seconds until the last step is done, at that speed."""


def progress(stage: str, since: float) -> Progress | None:
    """Return how far the training of `stage` is.

    since: when the stage began, in seconds since the epoch. Return None if it has done no step.
    """
    times = {path: path.stat().st_mtime for path in WORK.glob(str(curve_path(Path(stage) / "*", stage)))}
    path = max((path for path, written in times.items() if written >= since), key=lambda path: times[path], default=None)
    rows = read_curve(path) if path else []
    if path is None or not rows:
        return None
    steps = _steps(path.parent, stage)
    done = int(rows[-1]["step"]) + 1
    timed = [row for row in rows[-RECENT:] if "seconds" in row]
    seconds = sum(row["seconds"] for row in timed)
    speed = sum(row["positions"] for row in timed) / seconds if seconds else None
    left = seconds / len(timed) * (steps - done) if timed else None
    return Progress(done=done, steps=steps, loss=rows[-1]["loss"], speed=speed, left=left)
