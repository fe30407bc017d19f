"""One line of JSON per step and rank, from which a slow rank can be found."""

import json
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from inserter.training.processes import rank

Piece = TypeVar("Piece")


class RankLog:
    """The lines of this rank, appended to `FOLDER/rank-N.jsonl`.

    A run that resumes repeats the steps after its last checkpoint, so the last line of a step
    counts. Each line has these keys:

    - step, time: the step, and when it ended, in seconds since 1970
    - host: the machine's name
    - seconds: duration of the step; about the same on all ranks, which wait for each other
    - cpu_seconds: CPU time of this process in the step; on CPUs, a rank that waits has little
    - data_seconds: how long the step waited for its data; null if the task does not tell
    - positions: LM positions of this rank
    - peak_bytes: the most memory so far, of the GPU if there is one, else of the process
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"rank-{rank()}.jsonl"
        self.positions = 0
        self.data_seconds: float | None = None

    def counted(self, loss: Callable[[Piece], tuple[Tensor, int]]) -> Callable[[Piece], tuple[Tensor, int]]:
        """Return `loss`, whose positions are counted from now on."""

        def counting(piece: Piece) -> tuple[Tensor, int]:
            total, positions = loss(piece)
            self.positions += positions
            return total, positions

        return counting

    def waited(self, seconds: float) -> None:
        """Count seconds that the step has waited for its data."""
        self.data_seconds = (self.data_seconds or 0.0) + seconds

    @contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Append the line of `step` when the block ends."""
        self.positions, self.data_seconds = 0, None
        start, cpu = time.monotonic(), time.process_time()
        yield
        line = {
            "step": step,
            "time": time.time(),
            "host": socket.gethostname(),
            "seconds": time.monotonic() - start,
            "cpu_seconds": time.process_time() - cpu,
            "data_seconds": self.data_seconds,
            "positions": self.positions,
            "peak_bytes": peak_bytes(),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def peak_bytes() -> int:
    """Return the most memory that this process has had: of its GPU if there is one, else RSS."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts in KiB
