"""`inserter run`: ask DVC first, and start Prefect only when there is something to do."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flows import graph, record
from flows.summary import WIDTH, duration, summary
from inserter.errors import InserterError
from inserter.params import load
from inserter.run.quiet import quiet
from inserter.run.runner import say
from inserter.yaml_files import not_kept

if TYPE_CHECKING:
    from flows.pipeline import Ran

PARAMS = Path("params.yaml")
INTERRUPTED = 130  # the shell's code for Ctrl-C


def quiet_prefect() -> None:
    """Send Prefect's log to its API only; the terminal shows our own lines.

    Call this before importing Prefect.
    """
    quiet()
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")


def say_what_is_not_kept() -> None:
    """Warn of valid parameters that DVC could not write.

    DVC itself would only say that the file is corrupted.
    """
    lost = not_kept(PARAMS.read_text(encoding="utf-8"))
    if lost:
        say(f"`dvc exp run -S` cannot be used with {PARAMS}: {lost}")


def run(stages: list[str] | None = None, force: bool = False) -> int:
    """Bring `stages` (None: all) up to date, promote, print the summary and return the exit code.

    Raises InserterError with the message of the stage that failed.
    """
    start = time.monotonic()
    if not os.access(".", os.W_OK):
        raise InserterError(f"{Path.cwd()} cannot be written", "Run in a writable copy (`cp -a`); `status` and `ask` work here")
    load()  # this also refuses a wrong key that no stage depends on
    say_what_is_not_kept()
    plan = {stage.name for stage in graph.upstream(graph.read(), stages)}
    changed = plan & graph.changes().keys()
    if not (changed or force):
        if "register" in plan and record.pending():  # an earlier run was killed before promotion
            say("promotion: deciding on the registered version ...")
            quiet_prefect()
            record.decide()
        say("everything is up to date")
        show_summary()
        return 0
    say(f"stages changed: {len(changed)} of {len(plan)}; starting Prefect ...")
    interruptible()
    try:
        result = run_flow(stages, force)
    except KeyboardInterrupt:
        say("stopped; finished work is kept: run `inserter run` to resume")
        return INTERRUPTED
    wall = duration(time.monotonic() - start)
    say(f"stages run: {len(result['ran'])}, up to date: {len(result['up_to_date'])}, in {wall}")
    show_summary()
    return 0


def run_flow(stages: list[str] | None, force: bool) -> "Ran":
    """Run the Prefect flow in this process, on the configured API or a server of our own."""
    quiet_prefect()
    from flows.pipeline import inserter
    from flows.server import api

    with api():
        return inserter(stages, force)


def show_summary() -> None:
    terminal = sys.stdout.isatty()
    print()
    print(summary(color=terminal, width=shutil.get_terminal_size().columns if terminal else WIDTH))


def interruptible() -> None:
    """Let SIGTERM and SIGINT stop the run as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)
    # A script's background jobs start with SIGINT ignored; restore it.
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
