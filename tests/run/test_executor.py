"""The ordered map over processes, and over actors of a real Ray cluster of two nodes on this machine."""

import itertools
import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from ray_cluster import RAY, two_node_cluster

from inserter.errors import InserterError
from inserter.run.executor import cluster, local, ordered_map
from tests.helpers import executor_tasks as tasks


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[str]:
    with two_node_cluster() as address:
        os.environ["RAY_ADDRESS"] = address
        yield address
        del os.environ["RAY_ADDRESS"]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_every_worker_is_initialised(workers):
    results = list(ordered_map(tasks.square, range(40), workers, initializer=tasks.prepare, initargs=(7,)))
    assert [square for square, _, _ in results] == [n * n for n in range(40)]
    assert {value for _, value, _ in results} == {7}
    assert (os.getpid() in {process for _, _, process in results}) == (workers == 1)


def test_no_more_items_are_drawn_than_workers_need():
    numbers = itertools.count()
    results = ordered_map(tasks.square, numbers, 2)
    next(results)
    results.close()
    assert next(numbers) <= 2 * local.IN_FLIGHT + 1


def test_a_local_worker_that_dies_is_an_error_with_a_remedy():
    with pytest.raises(InserterError, match=r"a worker process died.*Lower `workers`"):
        list(ordered_map(tasks.die, range(4), 2))


@RAY
def test_on_ray_results_come_in_order_from_both_nodes(two_nodes):
    results = list(ordered_map(tasks.square_slowly, range(40), 0, initializer=tasks.prepare, initargs=(7,), executor="ray"))
    assert [square for square, _, _ in results] == [n * n for n in range(40)]
    assert {value for _, value, _ in results} == {7}
    assert len({process for _, _, process in results}) == 2


@RAY
def test_on_ray_memory_is_bounded_and_errors_are_the_functions_own(two_nodes):
    numbers = itertools.count()
    results = ordered_map(tasks.square, numbers, 2, executor="ray")
    next(results)
    results.close()
    assert next(numbers) <= 2 * cluster.LOOK_AHEAD + 1
    with pytest.raises(InserterError, match=r"^five is not spoken. Leave it out$"):
        list(ordered_map(tasks.refuse, range(10), 2, executor="ray"))


@RAY
def test_a_ray_worker_killed_in_mid_run_costs_the_task_it_was_at_and_nothing_else(two_nodes, tmp_path):
    log = tmp_path / "log"
    results = ordered_map(tasks.logged, ((str(log), n) for n in range(60)), 2, executor="ray")
    first = [next(results) for _ in range(10)]
    os.kill(int(log.read_text().splitlines()[-1].split()[0]), signal.SIGKILL)
    assert first + list(results) == list(range(60))
    done = [line.split() for line in log.read_text().splitlines()]
    times = Counter(number for _, number in done)
    assert len(times) == 60
    assert sum(count - 1 for count in times.values()) <= 1


@RAY
def test_a_task_that_kills_every_worker_ends_the_run_with_a_remedy(two_nodes):
    with pytest.raises(InserterError, match=r"one task killed 3 Ray workers .*run again"):
        list(ordered_map(tasks.die, range(3), 2, executor="ray"))


def test_without_ray_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(InserterError, match=r"needs Ray. Install Ray with `pip install 'inserter\[ray\]'`"):
        list(ordered_map(tasks.square, [1], executor="ray"))


@RAY
def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InserterError, match=r"no Ray cluster answers at 127.0.0.1:1.*ray start --head"):
        list(ordered_map(tasks.square, [1], executor="ray"))
