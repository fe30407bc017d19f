"""The one seam for parallel work inside a stage: an ordered map over local processes."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from stages.common.errors import InserterError
from stages.common.lifetime import die_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Cores this process may use (a container's limit counts, the machine's number does not)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(initializer: Callable[..., None] | None, initargs: tuple) -> None:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if initializer:
        initializer(*initargs)


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int = 0,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Results in the order of `items`, from `workers` processes (0: one a core; 1: in this process).

    Each worker gets cores/workers threads. At most 4 tasks a worker are in flight, so memory stays flat.
    `function` must be importable (top level of a module).
    """
    workers = workers or cores()
    if workers == 1:
        if initializer:
            initializer(*initargs)
        yield from map(function, items)
        return
    threads = max(1, cores() // workers)
    environment = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    saved = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)  # spawned workers read it when they import numpy and torch
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (initializer, initargs))
    try:
        pending: list = []
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= 4 * workers:
                yield pending.pop(0).result()
        while pending:
            yield pending.pop(0).result()
    except BrokenProcessPool as error:
        raise InserterError(
            "a worker process died, most likely for want of memory", "Lower `workers` in params.yaml, then run again: it goes on"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in saved.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
