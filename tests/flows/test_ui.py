"""`make ui`: both servers start, say where they are, and end with it; a registry that is a server's is only pointed to."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml
from checkout import ROOT
from databases import Databases

LINES = 3


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def pages(folder: Path, tracking_uri: str, prefect: int, mlflow: int, databases: Databases | None = None) -> Iterator[list[str]]:
    """What it says, from when all of it is there until Ctrl-C. databases: None lets both servers make their own."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["register"]["tracking_uri"] = tracking_uri
    folder.mkdir()
    if databases:
        databases.prefect(folder / "prefect")
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    command = [sys.executable, "-m", "flows.ui", "--prefect-port", str(prefect), "--mlflow-port", str(mlflow)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(folder / "prefect"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what a shell starts in the background ignores Ctrl-C
    )
    assert process.stdout
    try:
        yield [process.stdout.readline().strip() for _ in range(LINES)]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            rest = process.communicate(timeout=60)[0]
        finally:
            process.kill()  # and its guards with it, where it did not listen
    assert rest.strip() == "stopped" and process.returncode == 0


def answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return b"<html" in answer.read().lower()
    except OSError:
        return False


def family() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def listening() -> set[int]:
    """The ports that the processes of this test listen on, all of them on loopback."""
    there = [one for process in family() for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
    assert all(ipaddress.ip_address(one.laddr.ip).is_loopback for one in there), there
    return {one.laddr.port for one in there}


def commands() -> str:
    return " ".join(part for process in family() for part in process.cmdline())


def test_the_pages_are_there_and_go_with_ctrl_c(tmp_path: Path, databases: Databases) -> None:
    ports = [free_port() for _ in range(4)]
    with pages(tmp_path / "own", "sqlite:///mlflow.db", *ports[:2]) as said:
        assert [line.rpartition(" ")[2] for line in said[:2]] == [f"http://127.0.0.1:{port}" for port in ports[:2]], said
        assert answers(ports[0], "/") and answers(ports[1], "/")
        assert listening() >= {*ports[:2]} and "sqlite:" not in commands(), "no address of a database is an option"
        registry = f"http://127.0.0.1:{ports[1]}"
        with pages(tmp_path / "served", registry, *ports[2:], databases) as others:
            assert others[1].endswith(registry), others
            assert answers(ports[2], "/") and not answers(ports[3], "/"), "MLflow is there already"
        assert answers(ports[1], "/"), "a server of others goes on"
    deadline = time.monotonic() + 30
    while any(answers(port, "/") for port in ports) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(answers(port, "/") for port in ports)
