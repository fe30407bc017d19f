"""A Ray cluster: actors that hold what a worker loads (an engine, a recogniser), and results in order.

The cluster is the one at RAY_ADDRESS; without it a small one of its own starts on this machine and ends with the run.
Every node needs the same environment and the same folder at the same path (a shared file system).
INSERTER_RAY_GPUS: GPUs of a worker, 0 unless set; parts of one are allowed (0.25).
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from inserter.errors import InserterError
from inserter.run.executor.local import cores
from inserter.run.quiet import quiet

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 2  # tasks an actor: the one that it works at and the next
LOOK_AHEAD = 4  # tasks an actor that are handed out and not yielded: memory stays flat
LIVES = 3  # workers that one task may cost, and starts that a worker may fail


@dataclass(eq=False)
class _Task:
    item: Any
    result: Any = None
    done: bool = False
    lost: int = 0  # workers that died with it


class Actors:
    """`workers` actors with one CPU each, until the block ends; 0: as many as the cluster has room for.

    A worker that dies costs what it was at: its tasks go to the others, and another worker takes its place where there is room.
    """

    def __init__(self, workers: int, initializer: Callable[..., None] | None = None, initargs: tuple[Any, ...] = ()) -> None:
        self.ray = _ray()
        self.connected = not self.ray.is_initialized()
        if self.connected:
            _connect(self.ray)
        gpus = float(os.environ.get("INSERTER_RAY_GPUS", "0"))
        room = _room(self.ray.cluster_resources(), gpus)
        self.worker = self.ray.remote(num_cpus=1, num_gpus=gpus)(_Worker)
        self.arguments = (str(Path.cwd()), initializer, initargs)
        self.load: dict[Any, int] = {}  # actors at work: tasks that each has
        self.starting: dict[Any, Any] = {}  # a reference to come -> the actor that is ready then
        self.running: dict[Any, tuple[_Task, Any]] = {}  # a reference to come -> the task and its actor
        self.failures = 0
        for _ in range(min(workers or room, room)):
            self._start()

    def __enter__(self) -> "Actors":
        return self

    def __exit__(self, *exception: object) -> None:
        for actor in [*self.load, *self.starting.values()]:
            self.ray.kill(actor)
        if self.connected:
            self.ray.shutdown()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of `items`; each goes to the worker that has least to do. What `function` raises is raised here.

        Raises InserterError when one task has cost three workers.
        """
        remaining = iter(items)
        order: deque[_Task] = deque()  # handed out and not yielded
        again: deque[_Task] = deque()  # those whose worker died
        more = True
        while more or order:
            while (actor := self._free()) is not None and (again or (more and len(order) < LOOK_AHEAD * len(self.load))):
                if again:
                    self._submit(actor, function, again.popleft())
                    continue
                try:
                    task = _Task(next(remaining))
                except StopIteration:
                    more = False
                    break
                order.append(task)
                self._submit(actor, function, task)
            while order and order[0].done:
                yield order.popleft().result
            if self.running or (self.starting and (again or more)):
                again.extend(self._wait())

    def _start(self) -> None:
        actor = self.worker.remote(*self.arguments)
        self.starting[actor.ready.remote()] = actor

    def _free(self) -> Any:
        """The actor with least to do, or None when all have enough."""
        free = [actor for actor, tasks in self.load.items() if tasks < IN_FLIGHT]
        return min(free, key=self.load.__getitem__) if free else None

    def _submit(self, actor: Any, function: Callable, task: _Task) -> None:
        self.running[actor.run.remote(function, task.item)] = task, actor
        self.load[actor] += 1

    def _wait(self) -> list[_Task]:
        """Wait for whatever comes first: the tasks that have to be done again."""
        (reference, *_), _ = self.ray.wait([*self.running, *self.starting], num_returns=1)
        actor = self.starting.pop(reference, None)
        if actor is None:
            task, actor = self.running.pop(reference)
            return self._collect(reference, task, actor)
        try:
            self.ray.get(reference)
            self.load[actor] = 0
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            self.failures += 1
            if self.failures >= LIVES:
                raise InserterError(f"{LIVES} Ray workers died before they had begun ({_name(error)})", "See their logs") from error
            self._start()
        return []

    def _collect(self, reference: Any, task: _Task, actor: Any) -> list[_Task]:
        try:
            task.result, task.done = self.ray.get(reference), True
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error  # as a local worker would
        except self.ray.exceptions.RayError as error:  # the actor, its node, or a result that was only there
            task.lost += 1
            if task.lost >= LIVES:
                raise InserterError(
                    f"one task has cost {LIVES} Ray workers ({_name(error)})",
                    "Most likely it wants memory: see their logs, then run again: it goes on",
                ) from error
            if actor in self.load:
                del self.load[actor]
                self._start()
            return [task]
        if actor in self.load:
            self.load[actor] -= 1
        return []


class _Worker:
    """One actor. Ray gives it as many threads as CPUs: one (OMP_NUM_THREADS)."""

    def __init__(self, folder: str, initializer: Callable[..., None] | None, initargs: tuple) -> None:
        quiet()
        os.chdir(folder)  # relative paths mean what they mean to the driver
        if initializer:
            initializer(*initargs)

    def ready(self) -> None:
        pass

    def run(self, function: Callable[[Any], Any], item: Any) -> Any:
        return function(item)


def _name(error: Exception) -> str:
    return type(error).__name__


def _ray() -> Any:
    if find_spec("ray") is None:
        raise InserterError("`executor: ray` needs Ray", "Install it with `pip install 'inserter[ray]'`, or set `executor: local`")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    return ray


def _connect(ray: Any) -> None:
    address = os.environ.get("RAY_ADDRESS")
    quietly = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address:
            _knock(address)
            ray.init(address=address, **quietly)
        else:
            ray.init(address="local", num_cpus=cores(), include_dashboard=False, _node_ip_address="127.0.0.1", **quietly)
    except (OSError, RuntimeError, ValueError) as error:
        remedy = "Start one with `ray start --head` and set RAY_ADDRESS to its address"
        raise InserterError(f"no Ray cluster answers at {address or 'this machine'} ({error})", remedy) from error


def _knock(address: str) -> None:
    """Raise OSError when nothing listens there: Ray itself would try for eight minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _room(resources: dict[str, float], gpus: float) -> int:
    """Workers that the cluster's CPUs and GPUs have room for. Raises InserterError when there is none."""
    room = int(min(resources.get("CPU", 0.0), resources.get("GPU", 0.0) / gpus if gpus else float("inf")))
    if room < 1:
        raise InserterError(f"the Ray cluster has no room for a worker (one CPU, {gpus:g} GPUs)", "See `ray status`")
    return room
