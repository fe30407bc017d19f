"""End a stage's process with its parent, and allow one process per stage at a time.

Killing only `dvc` leaves the stage's process running. A second `dvc repro` would run beside this
orphan, and the orphan would later overwrite the result. A stage therefore asks the kernel to be
killed with its parent, and takes a lock.
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
    """Ask the kernel to send signal `number` to this process when its parent ends, however it ends.

    This works on Linux. On other systems the lock alone protects the result.

    parent: the parent's pid, if the caller knows it. With the pid, this process also notices a
    parent that was killed while this process started.
    """
    if sys.platform != "linux":
        return
    parent = parent or os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # the parent has already ended
        os.kill(os.getpid(), number)


@contextmanager
def stage_lock(path: Path) -> Iterator[None]:
    """Lock `path` during the block; the kernel releases the lock when the process ends.

    Raises InserterError that names the pid of the process that holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InserterError(
                f"another process (pid {file.read().strip() or 'unknown'}) is running this stage",
                "Wait until that process ends or stop it, then run again",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def running_since(path: Path) -> float | None:
    """Return when the process that holds the lock `path` took it, in seconds since the epoch.

    Return None if no process of this machine holds the lock. The lock itself is not tried, because
    a stage that starts at that moment would be refused. A process that took over the pid later is
    younger than the lock's file.
    """
    import psutil  # not part of the light install, which takes locks too

    try:
        taken = path.stat().st_mtime
        process = psutil.Process(int(path.read_text() or 0))
        held = process.create_time() <= taken + 1 and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return taken if held else None
