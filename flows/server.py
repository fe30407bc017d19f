"""A Prefect API for a run: the one that is configured, or a server of our own on loopback that ends with us."""

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
START_SECONDS = 180.0  # 6 s on a free machine; a first start also creates the data base, and others may be busy


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(port: int, ui: bool = False) -> subprocess.Popen:
    """A Prefect server on 127.0.0.1:`port` under a guard (`guard.stop` ends it). `ui`: with pages and scheduler."""
    # Not --no-services: without them no task run is recorded (3.8.8).
    options = ["--ui"] if ui else ["--no-ui", "--no-scheduler", "--no-late-runs"]
    return guard.start(
        [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PREFECT_API_URL": ""},
    )


def wait(url: str, process: subprocess.Popen, name: str) -> None:
    """Return when `url` answers 200. Raises InserterError when the process ends or does not answer in time."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    remedy = "Start it by hand to see why (PREFECT_HOME has to be writable), or set PREFECT_API_URL to one that runs"
    raise InserterError(f"{name} did not start", remedy)


def _answers(url: str) -> None:
    """Raises InserterError where nothing is there; what it answers is Prefect's matter."""
    try:
        urllib.request.urlopen(f"{url}/health", timeout=10).close()
    except urllib.error.HTTPError:
        pass
    except OSError as error:
        remedy = "Start it (`prefect server start`), or unset PREFECT_API_URL"
        raise InserterError(f"no Prefect server answers at {url}", remedy) from error


@contextmanager
def api() -> Iterator[str]:
    """Prefect's API for the time of the block: PREFECT_API_URL (environment or profile), else our own server."""
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
    """Send what waits to be sent: without a server it would be tried again for a minute after the end."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=DRAIN_SECONDS)
    EventsWorker.drain_all(timeout=DRAIN_SECONDS)
