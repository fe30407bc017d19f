"""Map work over local processes, with results in order."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from inserter.errors import InserterError
from inserter.run.lifetime import die_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 4  # tasks per worker, done or not: memory stays flat, and no worker waits for a task
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Return the number of cores that this process may use.

    A container's limit on the CPU set counts, not the number of the machine's cores.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes:
    """A pool of `workers` processes with cores/workers threads each, until the block ends.

    Example:

        with Processes(2) as pool:
            results = list(pool.map(function, items))
    """

    def __init__(self, workers: int, initializer: Callable[..., None] | None = None, initargs: tuple[object, ...] = ()) -> None:
        self.workers = workers
        threads = str(max(1, cores() // workers))
        context = multiprocessing.get_context("spawn")
        self.saved = {name: os.environ.get(name) for name in THREADS}
        # Spawned workers read these variables when they import numpy and torch.
        os.environ.update(dict.fromkeys(THREADS, threads))
        self.pool = ProcessPoolExecutor(workers, context, _start, (os.getpid(), initializer, initargs))

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *exception: object) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)
        for name, value in self.saved.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the results in the order of `items`. Raises InserterError if a worker dies."""
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(self.pool.submit(function, item))
                if len(pending) >= IN_FLIGHT * self.workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise InserterError(
                "a worker process died, most likely out of memory",
                "Lower `workers` in params.yaml, then run again to resume",
            ) from error


def _start(parent: int, initializer: Callable[..., None] | None, initargs: tuple[object, ...]) -> None:
    die_with_parent(parent=parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if initializer:
        initializer(*initargs)
