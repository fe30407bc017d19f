"""A real Ray cluster of two nodes on this machine."""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is an extra")


@contextmanager
def two_node_cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with a CPU each, on the loopback interface (Ray takes 127.0.0.1 for the host's own)."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "node_ip_address": "127.0.0.2", "object_store_memory": 100_000_000}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        nodes.add_node(**node)
        nodes.wait_for_nodes()
        yield nodes.address
    finally:
        nodes.shutdown()
