"""Run a command that never outlives the process that started it: `start(["dvc", "repro"])`.

The command runs below a small guard process, in a session of its own. The kernel signals the guard
when its parent ends, even by `kill -9`. The guard then ends everything in its process group: dvc,
the shell, the stage and the stage's workers.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from inserter.run.lifetime import die_with_parent

GRACE_SECONDS = 3.0  # between SIGTERM and SIGKILL


def start(
    command: list[str],
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` under a guard, the leader of its process group.

    The other arguments are those of Popen.
    """
    guarded = [sys.executable, "-m", "flows.guard", str(os.getpid()), *command]
    return subprocess.Popen(guarded, start_new_session=True, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process from `start` with all that it started.

    Repeated calls are safe, also on a process that has ended.
    """
    if process.returncode is not None:
        return
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS + 2)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what ignored SIGTERM
    process.wait()


class _Ended(BaseException):
    """The parent has ended, or it asks to stop."""


class _End:
    """A signal handler that raises _Ended once.

    A parent of several threads sends its signal once a thread: as one thread ends, the guard passes
    to the next. A second _Ended in the handling of the first would leave the group alive.
    """

    asked = False

    def __call__(self, number: int, frame: object) -> None:
        if not self.asked:
            self.asked = True
            raise _Ended


def guard(parent: int, command: list[str]) -> int:
    """Run `command` and return its exit code.

    On SIGTERM or SIGINT, or if `parent` ends, end the whole process group.
    """
    child: subprocess.Popen[bytes] | None = None
    end = _End()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:  # the parent ended before this process was ready
            return 1
        child = subprocess.Popen(command, preexec_fn=_restore)
        code = child.wait()
        return code if code >= 0 else 128 - code
    except _Ended:
        os.killpg(os.getpgid(0), signal.SIGTERM)
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_SECONDS)
        os.killpg(os.getpgid(0), signal.SIGKILL)  # this process too
        raise


def _restore() -> None:
    """Reset signal handlers in the child, and let it end with the guard."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with_parent()


if __name__ == "__main__":
    sys.exit(guard(int(sys.argv[1]), sys.argv[2:]))
