"""Processes that die with their parent, and one process a stage at a time.

Killing only `dvc` leaves the stage's process running; a second `dvc repro` would then run beside it and the
orphan would overwrite the result later. So a stage asks the kernel to be killed with its parent, and takes a lock.
"""

import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inserter.errors import InserterError

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>, Linux


def die_with_parent(number: int = signal.SIGKILL, parent: int | None = None) -> None:
    """Get signal `number` when the parent ends, however it ends (Linux; elsewhere the lock alone protects the result).

    parent: its pid, where the caller knows it: a parent that was killed while this process started is not missed then.
    """
    if sys.platform != "linux":
        return
    parent = parent or os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it has ended before now
        os.kill(os.getpid(), number)


@contextmanager
def stage_lock(path: Path) -> Iterator[None]:
    """Hold `path` for the time of the block; the kernel frees it when the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InserterError(
                f"another process (pid {file.read().strip() or 'unknown'}) is running this stage",
                "Wait until it ends, or stop it, then run again",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
