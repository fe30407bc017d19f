"""The report, which is written anew after every figure, and the time that a part may take."""

import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from inserter.files import atomic, write_json
from inserter.run.runner import say

ROW, CURVE = "contexts", "curve"  # keys of a figure that is a row of a table, and of its curve
ABOUT = "Figures of `python -m flows.gpu_check`; docs/TRAINING.md says what each means."


class OutOfTime(BaseException):
    """A part's time is over. No handler of exceptions may swallow this."""


class Clock:
    """The time that is left of all."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes

    @property
    def left(self) -> float:
        """Seconds, at least 0."""
        return max(0.0, self.end - time.monotonic())


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block when the time is over."""

    def stop(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Report:
    """The figures by part and name, in gpu_check.json and gpu_check.md."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts: dict[str, dict[str, object]] = {}

    def add(self, part: str, name: str, figure: object) -> None:
        self.parts.setdefault(part, {})[name] = figure
        write_json(self.folder / "gpu_check.json", self.parts)
        atomic(self.folder / "gpu_check.md", lambda path: path.write_text(self._markdown(), encoding="utf-8"))

    def measure(self, part: str, name: str, figure: Callable[[], object]) -> object:
        """Add what `figure` returns; if it fails, add the error and return None."""
        say(f"{part}: {name}")
        try:
            found = figure()
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            self.add(part, name, {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]} ({place})"})
            return None
        self.add(part, name, found)
        return found

    def _markdown(self) -> str:
        lines = ["# GPU check", "", ABOUT]
        for part, figures in self.parts.items():
            rows = {name: figure for name, figure in figures.items() if isinstance(figure, Mapping) and ROW in figure}
            lines += ["", f"## {part}", *_table(rows), *_curves(rows), "", "| figure | value |", "|---|---|"]
            for name, figure in figures.items():
                if name not in rows:
                    lines += [f"| {name}{key} | {value} |" for key, value in _flat(figure)]
        return "\n".join(lines) + "\n"


def _table(rows: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return a table with a row per model and a column per figure."""
    if not rows:
        return []
    flat = {name: dict(_flat({key: value for key, value in row.items() if key != CURVE})) for name, row in rows.items()}
    columns = list(dict.fromkeys(key for row in flat.values() for key in row))
    shown = [f"| {name} | {' | '.join(row.get(key, '–') for key in columns)} |" for name, row in flat.items()]
    heads = " | ".join(key.removeprefix(": ") for key in columns)
    return ["", f"| model | {heads} |", f"|{'---|' * (1 + len(columns))}", *shown]


def _curves(rows: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return a table of the gap closed by positions."""
    lines = []
    for name, row in rows.items():
        for point in cast(list[Mapping[str, object]], row.get(CURVE, [])):
            values = dict(_flat(point))
            lines.append(f"| {name} | {' | '.join(values[f': {key}'] for key in ('positions', 'gap closed', 'interval'))} |")
    return ["", "| model | positions | gap closed | 95 % interval |", "|---|---|---|---|", *lines] if lines else []


def _flat(figure: object, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(figure, Mapping):
        for name, value in figure.items():
            yield from _flat(value, f"{key}: {name}")
    elif isinstance(figure, float):
        yield key, f"{figure:.4g}" if abs(figure) < 1e4 else f"{figure:,.0f}"
    elif isinstance(figure, list) and all(isinstance(end, float) for end in figure):
        yield key, f"[{', '.join(f'{end:.4g}' for end in figure)}]"
    elif isinstance(figure, int) and not isinstance(figure, bool):
        yield key, f"{figure:,}"
    else:
        yield key, "–" if figure is None else str(figure).replace("|", "\\|")
