"""Provide a Prefect API for a run: the configured one, or a server of our own on loopback.

Our own server ends with the run.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from flows import guard
from inserter.errors import InserterError

DRAIN_SECONDS = 5.0
# A start takes 6 s on a free machine. A busy machine takes longer, and a first start also creates
# the database.
START_SECONDS = 180.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(port: int, ui: bool = False) -> subprocess.Popen[bytes]:
    """Start a Prefect server on 127.0.0.1:`port` under a guard; `guard.stop` ends it.

    ui: with pages and scheduler.
    """
    # Not --no-services: without services Prefect 3.8.8 records no task run.
    options = ["--ui"] if ui else ["--no-ui", "--no-scheduler", "--no-late-runs"]
    return guard.start(
        [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PREFECT_API_URL": ""},
    )


def wait(url: str, process: subprocess.Popen[bytes], name: str) -> None:
    """Return when `url` answers 200.

    Raises InserterError if the process ends or does not answer within START_SECONDS.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    remedy = "Run `prefect server start` to see why (PREFECT_HOME must be writable), or set PREFECT_API_URL to a running server"
    raise InserterError(f"{name} did not start", remedy)


def _answers(url: str) -> None:
    """Raise InserterError if no server answers at `url`.

    Any HTTP answer counts, also an error: its meaning is Prefect's matter.
    """
    try:
        urllib.request.urlopen(f"{url}/health", timeout=10).close()
    except urllib.error.HTTPError:
        pass
    except OSError as error:
        remedy = "Start a server (`prefect server start`), or unset PREFECT_API_URL"
        raise InserterError(f"no Prefect server answers at {url}", remedy) from error


@contextmanager
def api() -> Iterator[str]:
    """Provide Prefect's API inside the block.

    The API is that of PREFECT_API_URL (environment or profile), else our own server's.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if configured := PREFECT_API_URL.value():
        _answers(configured)
        yield configured
        return
    port = free_port()
    process = start(port)
    url = f"http://127.0.0.1:{port}/api"
    try:
        wait(f"{url}/health", process, "the Prefect server")
        with temporary_settings({PREFECT_API_URL: url}):
            try:
                yield url
            finally:
                drain()
    finally:
        guard.stop(process)


def drain() -> None:
    """Send the logs and events that still wait.

    Without a server, Prefect would try again for a minute after the end.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=DRAIN_SECONDS)
    EventsWorker.drain_all(timeout=DRAIN_SECONDS)
