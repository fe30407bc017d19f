"""The one seam for parallel work inside a stage: an ordered map over local processes, or over a Ray cluster."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeVar

from inserter.run.executor.local import Processes, cores

Item = TypeVar("Item")
Result = TypeVar("Result")
Executor = Literal["local", "ray"]

__all__ = ["Executor", "Processes", "cores", "ordered_map"]


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int = 0,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
    executor: Executor = "local",
) -> Iterator[Result]:
    """Results in the order of `items`, which are drawn as they are needed: a few a worker are in flight, so memory stays flat.

    `local`: `workers` processes (0: one a core; 1: in this process), each with cores/workers threads.
    `ray`: `workers` actors of the cluster at RAY_ADDRESS (0: one a CPU of it), see `cluster`.
    `function` and `initializer` must be importable (top level of a module); `initializer` runs once a worker.
    """
    if executor == "ray":
        from inserter.run.executor.cluster import Actors  # ray: seconds of import that a local run does not need

        with Actors(workers, initializer, initargs) as actors:
            yield from actors.map(function, items)
        return
    workers = workers or cores()
    if workers == 1:
        if initializer:
            initializer(*initargs)
        yield from map(function, items)
        return
    with Processes(workers, initializer, initargs) as pool:
        yield from pool.map(function, items)
