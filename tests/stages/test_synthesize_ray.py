"""The same stage on a real Ray cluster of two nodes: the same bytes, also when a worker is killed in mid-run."""

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest
from ray_cluster import RAY, two_node_cluster
from speech_workspace import contents, run, spans, start, workspace

pytestmark = RAY


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with two_node_cluster() as address:
        os.environ["RAY_ADDRESS"] = address
        yield
        del os.environ["RAY_ADDRESS"]


def workers() -> set[int]:
    """The processes of this cluster's actors."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if "_Worker" in " ".join(process.cmdline()):
                found.add(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def test_two_ray_workers_give_the_bytes_of_one_local_process_even_if_one_is_killed(tmp_path, cluster):
    local = workspace(tmp_path / "local", spans(60), workers=1)
    run(local)

    on_ray = workspace(tmp_path / "ray", spans(60), executor="ray", workers=2)
    process = start(on_ray)
    killed: set[int] = set()
    while process.poll() is None and not killed:
        if list(on_ray.glob(".work/synthesize/*/out/shard-*.json")):
            killed = set(sorted(workers())[:1])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert killed, "it ended before a worker could be killed"
    assert contents(on_ray) == contents(local)
    assert (on_ray / "reports/synthesize.json").read_bytes() == (local / "reports/synthesize.json").read_bytes()
