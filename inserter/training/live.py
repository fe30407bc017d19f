"""Report the steps of a training while it runs: to its work folder, and to an MLflow server."""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from inserter.params import Register
from inserter.registry.live import LiveRun
from inserter.run.curve import CurveFile, curve_path
from inserter.run.work import WorkFolder
from inserter.training.processes import rank


class Live:
    """Reports each step of the phase `name`; only on rank 0.

    The curve is in `work` (`CurveFile`). It also goes to `register.tracking_uri` if that is a
    server (`LiveRun`).
    """

    def __init__(self, name: str, work: WorkFolder, columns: Iterable[str], *, register: Register | None) -> None:
        self.file = CurveFile(curve_path(work.root, name), columns) if rank() == 0 else None
        self.run = LiveRun.of(register, name, work.key) if register and rank() == 0 else None

    def begin(self, curve: Iterable[Mapping[str, float]]) -> None:
        """Report the steps that were done before a resume, each once."""
        if self.file:
            rows = self.file.begin(curve)
            if self.run:
                self.run.begin(rows)

    def add(self, row: Mapping[str, float]) -> None:
        if self.file:
            timed = self.file.add(row)
            if self.run:
                self.run.add(timed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.file:
            self.file.close()
        if self.run:
            interrupted = kind is not None and not issubclass(kind, Exception)
            self.run.close("KILLED" if interrupted else "FAILED" if kind else "FINISHED")
