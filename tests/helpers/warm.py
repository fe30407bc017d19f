"""Processes that begin with torch and transformers imported: a stage then starts in 0.2 s instead of 4 s of CPU time.

Each is a process of its own, forked from a server that has only imported modules. It can be killed like any other.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

IMPORTED = [
    "accelerate",
    "pyarrow.parquet",
    "torch",
    "torch.distributed.fsdp",
    "transformers.generation",
    "transformers.modeling_utils",
    "transformers.models.llama.modeling_llama",
    "transformers.models.whisper.modeling_whisper",
    "transformers.processing_utils",
]


class Warm:
    """The part of `subprocess.Popen` that tests use."""

    def __init__(self, command: tuple[str, str], folder: Path, environment: dict[str, str], log: Path) -> None:
        """command: ("-m", module) or ("-c", code), as after `python`; log: gets what is printed."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        self.process = context.Process(target=_begin, args=(*command, str(folder), environment, str(log)))
        self.process.start()
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if (code := self.process.exitcode) is None:
            raise subprocess.TimeoutExpired("the process", timeout or 0)
        return code

    def kill(self) -> None:
        self.process.kill()


def _begin(flag: str, run: str, folder: str, environment: dict[str, str], log: str) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.path[:0] = [folder, *environment.get("PYTHONPATH", "").split(os.pathsep)]
    try:
        if flag == "-m":
            sys.argv = [run]
            runpy.run_module(run, run_name="__main__", alter_sys=True)
        else:
            sys.argv = [flag]
            exec(compile(run, "<string>", "exec"), {"__name__": "__main__"})
    except Exception:
        sys.excepthook(*sys.exc_info())  # multiprocessing would not call it
        sys.exit(1)
