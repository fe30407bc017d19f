"""The flow on a toy project: what runs, what does not, how it stops, and that nothing outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter, TaskRunFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, TaskRun
from toy_project import Toy

from flows import graph, steps
from flows.pipeline import inserter

HOLD_LOCK = """
import sys
from dvc.repo import Repo
with Repo(".") as repo, repo.lock:
    print("held", flush=True)
    sys.stdin.readline()
"""


def last_run() -> tuple[FlowRun, dict[str, TaskRun]]:
    """The newest flow run on the server, and its task runs by name."""
    with get_client(sync_client=True) as client:
        run = max(client.read_flow_runs(), key=lambda found: found.expected_start_time or found.created)
        tasks = client.read_task_runs(task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[run.id])))
    return run, {task.name: task for task in tasks}


def artifacts(run: FlowRun) -> dict[str, Any]:
    """The data of the run's artifacts by key."""
    with get_client(sync_client=True) as client:
        run_filter = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        return {found.key: found.data for found in client.read_artifacts(flow_run_filter=run_filter)}


def test_runs_what_changed_and_nothing_else(toy: Toy, prefect_api: str) -> None:
    result = inserter()
    assert result["up_to_date"] == [] and result["promotion"] is None
    assert toy.ran() == ["stage one", "check one", "gate one", "stage other", "stage two"]
    run, tasks = last_run()
    assert run.state and run.state.is_completed() and Path("flow_run.txt").read_text() == str(run.id), "a stage knows its run"
    assert set(tasks) == {"one", "check@one", "gate@one", "other", "two"}
    shown = artifacts(run)
    assert shown["progress"] == 100.0 and "expect_rows" in shown["gate-one"] and "Gates" in shown["summary"]

    again = inserter()
    assert again["ran"] == [] and len(again["up_to_date"]) == 5
    assert len(toy.ran()) == 5

    toy.set(two="other words")
    assert inserter()["ran"] == ["two"]
    toy.set(one="other words")  # check and gate then find what they found before, but two reads data/one
    assert inserter(["two"])["ran"] == ["one", "check@one", "two"]
    assert inserter(["one"], force=True)["ran"] == ["one"]


def test_a_failed_gate_stops_the_run_and_shows_why(toy: Toy, prefect_api: str) -> None:
    toy.set(gate=False)
    with pytest.raises(steps.StageFailed) as stopped:
        inserter()
    line = "gate@one: expect_rows failed on 2 rows (a, b). add rows"
    assert str(stopped.value) == f"gate@one stopped the run: {line}"
    assert toy.ran() == ["stage one", "check one", "gate one"]  # once: a stage that failed is not tried again
    run, tasks = last_run()
    assert run.state and run.state.is_failed() and line in str(run.state.message)
    assert tasks["gate@one"].run_count == 1
    assert '"passed": "NO"' in artifacts(run)["gate-one"] and "add rows" in artifacts(run)["gate-one"]


def test_a_killed_stage_is_not_reported_by_its_progress_line(toy: Toy, prefect_api: str) -> None:
    toy.set(one="killed")
    with pytest.raises(
        steps.StageFailed, match=r"one stopped the run: the stage was killed \(signal 9\), most likely out of memory"
    ):
        inserter()


def test_waits_for_the_lock_of_another_dvc(toy: Toy, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = subprocess.PIPE
    holder = subprocess.Popen([sys.executable, "-c", HOLD_LOCK], stdin=pipe, stdout=pipe, text=True)
    assert holder.stdout and holder.stdin and holder.stdout.readline() == "held\n"
    with pytest.raises(graph.Busy):
        steps.run("other")
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if "trying again" in text and holder.poll() is None:
            holder.communicate("\n")

    monkeypatch.setattr("flows.pipeline.say", say)
    assert inserter(["other"])["ran"] == ["other"]
    assert any("trying again" in text for text in said)
    assert last_run()[1]["other"].run_count == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_nothing_outlives_the_run(toy: Toy, prefect_api: str, number: signal.Signals) -> None:
    toy.set(other="sleep")
    # By kill -9, the server that the run starts for itself must not stay either; it runs in the same folder.
    environment = os.environ if number == signal.SIGKILL else {**os.environ, "PREFECT_API_URL": prefect_api}
    command = [sys.executable, "-m", "flows.cli", "run", "other"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert run.stderr
    assert any("asleep" in line for line in run.stderr)
    assert len(toy.processes()) >= 6  # the run, its guard, dvc, the shell, the stage, the stage's worker
    run.send_signal(number)
    said = run.stderr.read()
    assert run.wait(60) == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    assert number == signal.SIGKILL or "stopped; finished work is kept" in said
    deadline = time.monotonic() + 60
    while toy.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert toy.processes() == []
    (toy.folder / "awake").touch()
    assert inserter(["other"])["ran"] == ["other"]  # no lock was left behind either
