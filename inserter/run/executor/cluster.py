"""Map work over the actors of a Ray cluster, with results in order.

An actor holds what a worker loads (an engine, a recogniser). The cluster is the one at RAY_ADDRESS.
Without RAY_ADDRESS, a small cluster starts on this machine and ends with the run. Every node needs
the same environment and the same folder at the same path (a shared file system).

INSERTER_RAY_GPUS sets the GPUs per worker: 0 by default, and fractions such as 0.25 are allowed.
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from inserter.errors import InserterError
from inserter.run.executor.local import cores
from inserter.run.quiet import quiet

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 2  # tasks per actor: the current one and the next
LOOK_AHEAD = 4  # tasks per actor that are handed out but not yet yielded: memory stays flat
LIVES = 3  # the run stops at this many workers lost to one task, or at this many failed starts


@dataclass(eq=False)
class _Task:
    item: object
    result: Any = None
    done: bool = False
    lost: int = 0  # workers that died while they had the task


class Actors:
    """A pool of `workers` actors with one CPU each, until the block ends.

    0 workers means as many as the cluster has room for. When a worker dies, its tasks go to the
    other workers, and a new worker takes its place if there is room.
    """

    def __init__(self, workers: int, initializer: Callable[..., None] | None = None, initargs: tuple[object, ...] = ()) -> None:
        self.ray = _ray()
        self.connected = not self.ray.is_initialized()
        if self.connected:
            _connect(self.ray)
        gpus = float(os.environ.get("INSERTER_RAY_GPUS", "0"))
        room = _room(self.ray.cluster_resources(), gpus)
        self.worker = self.ray.remote(num_cpus=1, num_gpus=gpus)(_Worker)
        self.arguments = (str(Path.cwd()), initializer, initargs)
        self.load: dict[object, int] = {}  # started actor -> number of its tasks
        self.starting: dict[object, object] = {}  # pending reference -> the actor that starts
        self.running: dict[object, tuple[_Task, object]] = {}  # pending reference -> task and its actor
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
        """Yield the results in the order of `items`; each item goes to the least busy worker.

        Errors of `function` are raised here. Raises InserterError if one task has cost three
        workers, or if three workers died before they had begun.
        """
        remaining = iter(items)
        order: deque[_Task] = deque()  # handed out, not yet yielded
        again: deque[_Task] = deque()  # tasks whose worker died
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

    def _free(self) -> object:
        """Return the actor with the fewest tasks, or None if all actors have enough."""
        free = [actor for actor, tasks in self.load.items() if tasks < IN_FLIGHT]
        return min(free, key=self.load.__getitem__) if free else None

    def _submit(self, actor: Any, function: Callable[[Item], object], task: _Task) -> None:
        self.running[actor.run.remote(function, task.item)] = task, actor
        self.load[actor] += 1

    def _wait(self) -> list[_Task]:
        """Wait for the first result or started actor; return the tasks that must run again."""
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
                raise InserterError(f"{LIVES} Ray workers died at start ({_name(error)})", "Read the Ray workers' logs") from error
            self._start()
        return []

    def _collect(self, reference: object, task: _Task, actor: object) -> list[_Task]:
        try:
            task.result, task.done = self.ray.get(reference), True
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error  # a local worker would raise the same error
        except self.ray.exceptions.RayError as error:
            # Ray lost the actor, its node, or a result that was stored only there.
            task.lost += 1
            if task.lost >= LIVES:
                raise InserterError(
                    f"one task killed {LIVES} Ray workers ({_name(error)})",
                    "Check the workers' logs, most likely for lack of memory, then run again to resume",
                ) from error
            if actor in self.load:
                del self.load[actor]
                self._start()
            return [task]
        if actor in self.load:
            self.load[actor] -= 1
        return []


class _Worker:
    """The code of one actor. Ray gives an actor as many threads as CPUs: one (OMP_NUM_THREADS)."""

    def __init__(self, folder: str, initializer: Callable[..., None] | None, initargs: tuple[object, ...]) -> None:
        quiet()
        os.chdir(folder)  # relative paths resolve as in the driver
        if initializer:
            initializer(*initargs)

    def ready(self) -> None:
        pass

    def run(self, function: Callable[[object], object], item: object) -> object:
        return function(item)


def _name(error: Exception) -> str:
    return type(error).__name__


def _ray() -> ModuleType:
    if find_spec("ray") is None:
        raise InserterError("`executor: ray` needs Ray", "Install Ray with `pip install 'inserter[ray]'`, or set `executor: local`")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    return ray


def _connect(ray: ModuleType) -> None:
    address = os.environ.get("RAY_ADDRESS")
    quietly: dict[str, object] = {"log_to_driver": False, "logging_level": "ERROR"}
    if (address or "").startswith("ray://"):  # Ray gives its workers the driver's folder only without a client
        quietly["runtime_env"] = {"env_vars": {"PYTHONPATH": str(Path.cwd())}}
    try:
        if address:
            _knock(address)
            ray.init(address=address, **quietly)
        else:
            ray.init(address="local", num_cpus=cores(), include_dashboard=False, _node_ip_address="127.0.0.1", **quietly)
    except (OSError, RuntimeError, ValueError) as error:
        remedy = "Start a cluster with `ray start --head` and set RAY_ADDRESS to its address"
        raise InserterError(f"no Ray cluster answers at {address or 'this machine'} ({error})", remedy) from error


def _knock(address: str) -> None:
    """Raise OSError if nothing listens at `address`; Ray itself would try for eight minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _room(resources: dict[str, float], gpus: float) -> int:
    """Return the number of workers that the cluster's CPUs and GPUs have room for.

    Raises InserterError if there is no room for one.
    """
    room = int(min(resources.get("CPU", 0.0), resources.get("GPU", 0.0) / gpus if gpus else float("inf")))
    if room < 1:
        raise InserterError(
            f"the Ray cluster has no room for a worker (one CPU, {gpus:g} GPUs)", "Free resources: `ray status` lists them"
        )
    return room
