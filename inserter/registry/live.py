"""Send the steps of a running training to an MLflow server, without a wait.

A thread of its own speaks MLflow's REST API. The client is not used, because its import takes
seconds of CPU in the middle of a training. A training that reports to a server also needs no MLflow
on its machine.

An SQLite file gets no live run: creating its tables takes longer than a short training, and a kill
meanwhile would leave half of them. The stage `register` logs the curve there.
"""

import base64
import json
import math
import os
import threading
import time
from collections.abc import Iterable
from http.client import HTTPException
from typing import Any, Self
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import Request, urlopen

from inserter.params import Register
from inserter.registry.place import tracking_uri
from inserter.run.curve import Row
from inserter.run.git import git_state
from inserter.run.runner import say

LIVE = "live"  # tag `kind` of such a run
LIMIT = 10_000  # rows that wait while the server is away; more are dropped and counted
BATCH = 100  # rows per request; MLflow takes at most 1,000 metrics
REQUEST_SECONDS = 10.0
RETRY_SECONDS = 5.0
LAST_SECONDS = 5.0  # how long the end of a training waits for the last rows
FAILURES = (OSError, HTTPException, ValueError, KeyError, TypeError)  # also of a server that is not MLflow


class LiveRun:
    """A run of `register.experiment` with the metrics `curve/COLUMN` by step.

    `stage` names the run. A resumed training continues the run, which is found by its tag `key`,
    and sends the steps that the run lacks.
    """

    def __init__(self, register: Register, stage: str, key: str) -> None:
        self.address, self.login = _apart(tracking_uri(register).rstrip("/"))
        self.experiment = register.experiment
        self.stage, self.key = stage, key
        self.pending: list[dict[str, float]] = []
        self.lost = 0
        self.why = "no answer"
        self.status = "FINISHED"
        self.run_id: str | None = None
        self.there: set[int] = set()
        self.lock, self.wake, self.closing = threading.Lock(), threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    @classmethod
    def of(cls, register: Register, stage: str, key: str) -> Self | None:
        """Return the run, or None if the registry is not a server."""
        return cls(register, stage, key) if tracking_uri(register).startswith(("http://", "https://")) else None

    def begin(self, rows: Iterable[Row]) -> None:
        """Start to send, first the steps that were done before."""
        self.pending = [_stamped(row) for row in rows]
        self.wake.set()
        self.thread.start()

    def add(self, row: Row) -> None:
        """Queue a row. This never waits for the server."""
        with self.lock:
            if len(self.pending) < LIMIT:
                self.pending.append(_stamped(row))
            else:
                self.lost += 1
        self.wake.set()

    def close(self, status: str) -> None:
        """End the run with `status`, and say what could not be sent.

        status: FINISHED, FAILED or KILLED.
        """
        if self.thread.ident is None:  # it failed before its first step
            return
        self.status = status
        self.closing.set()
        self.wake.set()
        self.thread.join(LAST_SECONDS)
        with self.lock:
            unsent = self.lost + len(self.pending)
        if unsent:
            say(f"{self.stage}: {unsent} steps of the curve were not sent to {self.address} ({self.why})")

    def _work(self) -> None:
        while True:
            self.wake.wait()
            self.wake.clear()
            last = self.closing.is_set()
            try:
                self._send()
                if last:
                    self._post("runs/update", run_id=self.run_id, status=self.status, end_time=_now())
            except FAILURES as error:
                self.why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                self.closing.wait(RETRY_SECONDS)
                self.wake.set()
            if last:
                return

    def _send(self) -> None:
        if self.run_id is None:
            self.run_id = self._open()
        while True:
            with self.lock:
                rows = self.pending[:BATCH]
            if not rows:
                return
            metrics = [metric for row in rows if int(row["step"]) not in self.there for metric in _metrics(row)]
            if metrics:
                self._post("runs/log-batch", run_id=self.run_id, metrics=metrics)
            with self.lock:
                del self.pending[: len(rows)]

    def _open(self) -> str:
        """Return the id of the run. It is made, or resumed if a run has the key."""
        where = self._experiment()
        wanted = f"tags.kind = '{LIVE}' and tags.stage = '{self.stage}' and tags.key = '{self.key}'"
        if found := self._post("runs/search", experiment_ids=[where], filter=wanted, max_results=1).get("runs"):
            run_id = str(found[0]["info"]["run_id"])
            self.there = self._steps(run_id)
            self._post("runs/update", run_id=run_id, status="RUNNING")
            return run_id
        tags = {"kind": LIVE, "stage": self.stage, "key": self.key, "git.commit": git_state()[0]}
        listed = [{"key": name, "value": value} for name, value in tags.items()]
        made = self._post("runs/create", experiment_id=where, run_name=self.stage, start_time=_now(), tags=listed)
        return str(made["run"]["info"]["run_id"])

    def _experiment(self) -> str:
        wanted = f"name = '{self.experiment}'"
        if found := self._post("experiments/search", filter=wanted, max_results=1).get("experiments"):
            return str(found[0]["experiment_id"])
        return str(self._post("experiments/create", name=self.experiment)["experiment_id"])

    def _steps(self, run_id: str) -> set[int]:
        """Return the steps that the run has."""
        given = {"run_id": run_id, "metric_key": "curve/loss", "max_results": "10000"}
        steps: set[int] = set()
        while True:
            page = self._call("metrics/get-history?" + urlencode(given))
            steps |= {int(point.get("step", 0)) for point in page.get("metrics", [])}
            if not page.get("next_page_token"):
                return steps
            given["page_token"] = page["next_page_token"]

    def _post(self, path: str, **body: object) -> dict[str, Any]:
        return self._call(path, json.dumps(body).encode())

    def _call(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", **_authorization(self.login)}
        with urlopen(Request(f"{self.address}/api/2.0/mlflow/{path}", body, headers), timeout=REQUEST_SECONDS) as reply:
            found: dict[str, Any] = json.load(reply)
        return found


def _stamped(row: Row) -> dict[str, float]:
    """Return the row with the time. A row that is sent twice then stands once in MLflow."""
    return {**row, "timestamp": _now()}


def _metrics(row: Row) -> list[dict[str, object]]:
    step, when = int(row["step"]), int(row["timestamp"])
    values = {name: value for name, value in row.items() if name not in ("step", "timestamp") and math.isfinite(value)}
    return [{"key": f"curve/{name}", "value": value, "timestamp": when, "step": step} for name, value in values.items()]


def _apart(address: str) -> tuple[str, str]:
    """Return an address without its login, and the login as `user:password`; "" for none."""
    try:
        parts = urlsplit(address)
    except ValueError:  # no address: the first request says so
        return address, ""
    login, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=host).geturl(), unquote(login)


def _authorization(login: str) -> dict[str, str]:
    """Return the header that MLflow's own client sends, from the same environment variables.

    login: `user:password` of the address, which comes first; "" for none.
    """
    token, user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("TOKEN", "USERNAME", "PASSWORD"))
    if login := login or (f"{user}:{password}" if user and password else ""):
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _now() -> int:
    """Return milliseconds since the epoch."""
    return int(time.time() * 1000)
