"""Stages over two gloo ranks that no torchrun looks after: each rank's end and messages are seen by themselves."""

import os
import socket
from pathlib import Path

from checkout import ROOT
from warm import Warm


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(code: str, folder: Path, world: int = 2) -> list[Warm]:
    """Each rank runs `code` in `folder`; its messages go to `rank-N.log`."""
    port = str(free_port())

    def rank(number: int) -> Warm:
        path = f"{ROOT}{os.pathsep}{ROOT / 'tests/helpers'}"
        place = {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(world)} if world > 1 else {}
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return Warm(("-c", code), folder, environment | place, log(folder, number))

    return [rank(number) for number in range(world)]


def log(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.log"


def finish(code: str, folder: Path, world: int = 2) -> list[str]:
    """The messages of each rank, when all have ended well."""
    ranks = start(code, folder, world)
    ends = [rank.wait(300) for rank in ranks]
    messages = [log(folder, number).read_text() for number in range(world)]
    assert ends == [0] * world, "\n".join(text[-2000:] for text in messages)
    return messages
