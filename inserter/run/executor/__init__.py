"""The one interface for parallel work inside a stage.

An ordered map runs over local processes or over a Ray cluster.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Literal, TypeVar

from inserter.run.executor.local import Processes, cores

Item = TypeVar("Item")
Result = TypeVar("Result")
Executor = Literal["local", "ray"]

__all__ = ["Executor", "Processes", "cores", "ordered_map"]


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int = 0,
    *,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[object, ...] = (),
    executor: Executor = "local",
) -> Iterator[Result]:
    """Yield the results of `function` in the order of `items`.

    Items are drawn as they are needed. A few per worker are in flight, so memory stays flat.

    - executor `local`: `workers` processes (0: one per core; 1: this process), each with
      cores/workers threads. A single item is worked on in this process.
    - executor `ray`: `workers` actors of the cluster at RAY_ADDRESS (0: as many as fit, one CPU per
      actor); see `cluster`.

    `function` and `initializer` must be importable, at the top level of a module. `initializer`
    runs once per worker.
    """
    if executor == "ray":
        # Importing ray takes seconds, which a local run does not need.
        from inserter.run.executor.cluster import Actors

        with Actors(workers, initializer, initargs) as actors:
            yield from actors.map(function, items)
        return
    workers = workers or cores()
    items = iter(items)
    first = list(islice(items, 2))
    if workers == 1 or len(first) < 2:
        if initializer:
            initializer(*initargs)
        yield from map(function, chain(first, items))
        return
    with Processes(workers, initializer, initargs) as pool:
        yield from pool.map(function, chain(first, items))
