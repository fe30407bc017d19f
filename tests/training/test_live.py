"""A training is reported while it runs: a row a step in a file, and to a real MLflow server that may be lost at any time."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkout import ROOT
from training_runs import some_examples, states_of

from inserter.params import Register, load
from inserter.registry import live
from inserter.run.curve import TIMES, read_curve
from inserter.run.work import WorkFolder
from inserter.training.batches import packed_phase
from inserter.training.loop import COLUMNS, train
from inserter.training.tokens import Tokens
from models import InserterForConditionalGeneration, InserterProcessor

PATIENCE = 180  # seconds until something must have happened that takes seconds on a quiet machine
STEPS = 10
Step = Callable[[int, WorkFolder], None]


class Told:
    """A task that calls `at(step, work)` before each step."""

    def __init__(self, task, at, work) -> None:
        self.task, self.at, self.work = task, at, work
        self.tokens, self.loss = task.tokens, task.loss

    def pieces(self, step, rank, world):
        self.at(step, self.work)
        return self.task.pieces(step, rank, world)


@pytest.fixture
def run(tiny_model, tmp_path, monkeypatch):
    """`run(key, at, register)` trains, and returns the curve and the rows of the file."""
    monkeypatch.chdir(tmp_path)
    processor = InserterProcessor.from_pretrained(tiny_model)
    settings = {"steps": STEPS, "batch_positions": 60, "precision": "fp32", "checkpoint_steps": 4}
    p = load(ROOT / "params.yaml").pretrain.model_copy(update=settings)

    def trained(key: str, at: Step = lambda *_: None, register: Register | None = None):
        model = InserterForConditionalGeneration.from_pretrained(tiny_model)
        phase = packed_phase(
            "p", p, model, examples=Tokens.of(some_examples(processor)), clips=states_of([f"u{i}" for i in range(8)])
        )
        work = WorkFolder("test", key, keep_older=True)
        object.__setattr__(phase, "task", Told(phase.task, at, work))
        outcome = train(model, phase, work, register=register)
        return outcome.curve, read_curve(work / "p-curve.csv")

    return trained


def untimed(rows):
    return [{name: row[name] for name in COLUMNS} for row in rows]


def test_each_step_is_in_the_file_before_the_next_one_and_once_after_a_resume(run):
    seen = []

    def at(step, work):
        seen.append((step, [row["step"] for row in read_curve(work / "p-curve.csv")]))
        if step == 7 and len(seen) == 8:
            with (work / "p-curve.csv").open("a") as file:
                file.write("7,1.2")  # a write that a kill cut short
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("a", at)
    assert seen == [(step, list(range(step))) for step in range(8)]
    curve, rows = run("a", at)
    assert seen[8:] == [(step, list(range(step))) for step in range(4, STEPS)], "from the checkpoint at step 4"
    assert untimed(rows) == curve and len(curve) == STEPS
    assert all(row["seconds"] > 0 and row["positions_a_second"] > 0 for row in rows), "old rows keep their times"
    assert set(rows[0]) == {*COLUMNS, *TIMES}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def server(tmp_path, databases) -> Iterator[Callable[[], tuple[str, subprocess.Popen]]]:
    """`server()` starts an MLflow server, always on the same port and files."""
    port, started = free_port(), []
    databases.mlflow(tmp_path / "m.db")

    def start():
        address = f"http://127.0.0.1:{port}"
        where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/m.db"]
        command = [sys.executable, "-m", "mlflow", "server", *where, "--default-artifact-root", str(tmp_path / "artifacts")]
        log = (tmp_path / "server.log").open("a")
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
        started.append(process)
        until(lambda: answers(f"{address}/health"))
        return address, process

    yield start
    for process in started:
        kill(process)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def kill(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def register(address: str) -> Register:
    return load(ROOT / "params.yaml").register_.model_copy(update={"tracking_uri": address})


def live_runs(address: str) -> list:
    import mlflow

    client = mlflow.MlflowClient(address)
    experiment = client.get_experiment_by_name("inserter")
    return client.search_runs([experiment.experiment_id], "tags.kind = 'live'") if experiment else []


def steps_of(address: str) -> list[tuple[int, float]]:
    import mlflow

    runs = live_runs(address)
    history = mlflow.MlflowClient(address).get_metric_history(runs[0].info.run_id, "curve/loss") if runs else []
    return [(point.step, point.value) for point in history]


def test_a_server_that_is_killed_costs_no_step_and_a_resume_continues_its_run(run, server, capfd):
    undisturbed, _ = run("calm")
    address, process = server()

    def at(step, work):
        if step == 6 and process.poll() is None:
            until(lambda: len(steps_of(address)) == 6)
            kill(process)

    curve, rows = run("a", at, register(address))
    assert curve == undisturbed == untimed(rows)
    said = [line for line in capfd.readouterr().err.splitlines() if "not sent" in line]
    assert len(said) == 1 and said[0].startswith(f"p: 4 steps of the curve were not sent to {address} (")
    server()
    (before,) = live_runs(address)
    assert before.info.status == "RUNNING" and len(steps_of(address)) == 6
    curve, rows = run("a", at, register(address))
    (after,) = live_runs(address)
    assert (after.info.run_id, after.info.run_name, after.info.status) == (before.info.run_id, "p", "FINISHED")
    assert after.data.tags.items() >= {"kind": "live", "stage": "p", "git.commit": "unknown"}.items()
    assert sorted(steps_of(address)) == [(row["step"], row["loss"]) for row in undisturbed], "each step once"
    assert {name.removeprefix("curve/") for name in after.data.metrics} == {*COLUMNS, *TIMES} - {"step"}
    assert "not sent" not in capfd.readouterr().err


def test_a_server_that_never_answers_stops_no_training(run, monkeypatch, capfd):
    undisturbed, _ = run("calm")
    monkeypatch.setattr(live, "LAST_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, and nobody reads
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        curve, rows = run("a", register=register(address))
    assert curve == undisturbed == untimed(rows)
    assert f"p: {STEPS} steps of the curve were not sent to {address} (" in capfd.readouterr().err


def test_only_a_server_gets_a_live_run(run):
    """An SQLite file is written by `register` alone, and a training makes none."""
    run("a", register=register("sqlite:///mlflow.db"))
    assert not Path("mlflow.db").exists()


def test_rows_that_wait_are_bounded_and_those_dropped_are_counted(run, monkeypatch, capfd):
    monkeypatch.setattr(live, "LIMIT", 3)
    address = f"http://127.0.0.1:{free_port()}"
    _, rows = run("a", register=register(address))
    assert len(rows) == STEPS
    assert f"p: {STEPS} steps of the curve were not sent to {address} (URLError" in capfd.readouterr().err
