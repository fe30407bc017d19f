"""A guard ends its whole process group, however often it is told to."""

import signal
import subprocess
import sys

import psutil
import pytest

from flows import guard

# Starts a child that ignores SIGTERM, as the shell of a stage may outlive dvc.
FAMILY = """
import signal, subprocess, sys
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(90)"
subprocess.Popen([sys.executable, "-c", deaf])
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_many_signals_at_once_end_the_group_as_one_does(number: signal.Signals) -> None:
    null = subprocess.DEVNULL
    for _ in range(2):
        process = guard.start([sys.executable, "-c", FAMILY], stdin=null, stdout=subprocess.PIPE, stderr=null)
        assert process.stdout and process.stdout.readline() == b"\n"  # the grandchild sleeps
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 2
        while process.poll() is None:
            process.send_signal(number)
        assert process.returncode == -signal.SIGKILL  # the group's leader ended its group
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive
