"""`python -m flows.ui`: serve Prefect's and MLflow's pages on loopback, until Ctrl-C."""

import argparse
import os
import subprocess
import sys
import time

from flows import guard, server
from inserter.errors import InserterError
from inserter.params import load
from inserter.registry.place import tracking_uri
from inserter.run.quiet import quiet
from inserter.run.runner import say

SERVED = ("http://", "https://")


def start_mlflow(address: str, port: int) -> subprocess.Popen[bytes]:
    """Start MLflow's server with its pages on 127.0.0.1:`port`, under a guard.

    address: of its database. It goes by the environment, because everyone on a machine can see
        options, and it may have a password.
    """
    null = subprocess.DEVNULL
    listen = ["--host", "127.0.0.1", "--port", str(port)]
    return guard.start(
        [sys.executable, "-m", "mlflow", "server", *listen, "--workers", "1"],
        stdout=null,
        stderr=null,
        stdin=null,
        env={**os.environ, "MLFLOW_BACKEND_STORE_URI": address},
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flows.ui", description=__doc__)
    parser.add_argument("--prefect-port", type=int, default=4200)
    parser.add_argument("--mlflow-port", type=int, default=5000)
    options = parser.parse_args()
    quiet()
    try:
        serve(options.prefect_port, options.mlflow_port)
    except InserterError as error:
        sys.exit(f"ui: {error}")


def serve(prefect_port: int, mlflow_port: int) -> None:
    """Start both servers and print their addresses; stop both when one ends or on Ctrl-C.

    If the registry is a server, that server has the registry's pages.

    Raises InserterError if a server ends.
    """
    address = tracking_uri(load().register_)
    prefect_url, mlflow_url = (f"http://127.0.0.1:{port}" for port in (prefect_port, mlflow_port))
    os.environ["PREFECT_UI_API_URL"] = f"{prefect_url}/api"
    started = {f"Prefect on port {prefect_port}": (server.start(prefect_port, ui=True), f"{prefect_url}/api/health")}
    if address.startswith(SERVED):
        mlflow_url = address
    else:
        started[f"MLflow on port {mlflow_port}"] = (start_mlflow(address, mlflow_port), f"{mlflow_url}/health")
    try:
        for name, (process, health) in started.items():
            server.wait(health, process, name)
        say(f"runs and schedules (Prefect): {prefect_url}")
        say(f"metrics, audio and models (MLflow): {mlflow_url}")
        say("Ctrl-C stops the servers")
        while not (ended := [name for name, (process, _) in started.items() if process.poll() is not None]):
            time.sleep(0.5)
        raise InserterError(f"{ended[0]} has ended", "If the port is in use, give another with --prefect-port or --mlflow-port")
    except KeyboardInterrupt:
        say("stopped")
    finally:
        for process, _ in started.values():
            guard.stop(process)


if __name__ == "__main__":
    main()
