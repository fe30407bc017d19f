"""Run one stage as a step: `dvc repro --single-item STAGE`, or another dvc command.

The output is shown live, and no process is left when the step stops.
"""

import codecs
import os
import re
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from flows import graph, guard
from inserter.errors import InserterError
from inserter.run.quiet import quiet

LOCKED = ("Unable to acquire lock", "is busy, it is being blocked by")  # dvc.lock, dvc.rwlock
TAIL_LINES = 50


class StageFailed(InserterError):
    """A stage ended with an error; the message is the stage's own last line."""


class _Lines:
    """Lines decoded from chunks of bytes.

    Of a line that a progress bar redraws, only the last state is kept.
    """

    def __init__(self, on_line: Callable[[str], None], echo: bool) -> None:
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.on_line, self.echo, self.rest = on_line, echo, ""

    def feed(self, data: bytes) -> None:
        text = self.decoder.decode(data, final=not data)
        if self.echo:
            sys.stderr.write(text)
            sys.stderr.flush()
        *lines, self.rest = (self.rest + text).split("\n")
        if not data and self.rest:
            lines.append(self.rest)
        for line in lines:
            self.on_line(line.rstrip("\r").rpartition("\r")[2].rstrip())


def environment() -> dict[str, str]:
    """Return the environment of dvc and the stages.

    `python` in dvc.yaml is this interpreter, even if its venv is not activated.
    """
    quiet()
    here = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([here, os.environ.get("PATH", "")])}


def run(
    name: str, force: bool = False, log: Callable[[str], None] = lambda line: None, *, extra: dict[str, str] | None = None
) -> None:
    """Bring the stage `name` up to date, as `dvc` does."""
    dvc(name, ["repro", "--single-item", name, *(["--force"] if force else [])], log, extra=extra)


def dvc(
    name: str, arguments: list[str], log: Callable[[str], None], *, folder: Path | None = None, extra: dict[str, str] | None = None
) -> None:
    """Run `dvc ARGUMENTS` in `folder` (None: here), with the environment variables of `extra`.

    name: what stopped, for the error message.
    Standard error is shown as it comes. Every line of output also goes to `log`. However the
    command ends (Ctrl-C, `kill -9` of this process), no process is left.

    Raises graph.Busy if another dvc holds the lock. Raises StageFailed with the stage's own message
    if the command fails.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    process = guard.start(command, stdout=pipe, stderr=pipe, stdin=null, env={**environment(), **(extra or {})}, cwd=folder)
    try:
        _follow(process, log, tail)
        code = process.wait()
    finally:
        guard.stop(process)
    if code == 0:
        return
    text = "\n".join(tail)
    if any(sign in text for sign in LOCKED):
        raise graph.Busy
    raise StageFailed(f"{name} stopped the run: {_reason(list(tail)) or f'exit code {code}'}")


def _follow(process: subprocess.Popen[bytes], log: Callable[[str], None], tail: deque[str]) -> None:
    """Read both pipes until they close, or the process has ended and says no more.

    A daemon may hold the pipes open.
    """
    assert process.stdout and process.stderr

    def error(line: str) -> None:
        log(line)
        tail.append(line)

    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, _Lines(log, echo=False))
        selector.register(process.stderr, selectors.EVENT_READ, _Lines(error, echo=True))
        while selector.get_map():
            ready = selector.select(timeout=0.5)
            if not ready and process.poll() is not None:
                return
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                key.data.feed(data)
                if not data:
                    selector.unregister(key.fileobj)


def _reason(tail: list[str]) -> str:
    """Return the last line that the stage itself wrote, or dvc's own last line if there is none."""
    said = [line for line in tail if line.strip()]
    if any(re.search(r"exited with (-9|137)\b", line) for line in said):
        return (
            "the stage was killed (signal 9), most likely out of memory. Free memory, or lower its batch or workers, then run again"
        )
    own = [line for line in said if not line.startswith(("ERROR: ", "WARNING: "))]
    return (own or said or [""])[-1]
