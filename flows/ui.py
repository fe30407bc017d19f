"""`python -m flows.ui`: Prefect's and MLflow's pages on loopback, until Ctrl-C."""

import argparse
import os
import subprocess
import sys
import time

from flows import guard, server
from stages.common.errors import InserterError
from stages.common.params import load
from stages.common.quiet import quiet
from stages.common.runner import say


def start_mlflow(tracking_uri: str, port: int) -> subprocess.Popen:
    """MLflow's server with its pages on 127.0.0.1:`port`, under a guard."""
    null = subprocess.DEVNULL
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return guard.start(
        [sys.executable, "-m", "mlflow", "server", *address, "--workers", "1", "--backend-store-uri", tracking_uri],
        stdout=null,
        stderr=null,
        stdin=null,
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
    """Start both, print where they are, and stop both when one ends or on Ctrl-C."""
    tracking_uri = load().register_.tracking_uri
    os.environ["PREFECT_UI_API_URL"] = f"http://127.0.0.1:{prefect_port}/api"
    prefect, mlflow = server.start(prefect_port, ui=True), start_mlflow(tracking_uri, mlflow_port)
    try:
        server.wait(f"http://127.0.0.1:{prefect_port}/api/health", prefect, f"Prefect on port {prefect_port}")
        server.wait(f"http://127.0.0.1:{mlflow_port}/health", mlflow, f"MLflow on port {mlflow_port}")
        say(f"runs and schedules (Prefect): http://127.0.0.1:{prefect_port}")
        say(f"metrics, audio and models (MLflow): http://127.0.0.1:{mlflow_port}")
        say("Ctrl-C stops both")
        while prefect.poll() is None and mlflow.poll() is None:
            time.sleep(0.5)
        ended = f"Prefect on port {prefect_port}" if prefect.poll() is not None else f"MLflow on port {mlflow_port}"
        raise InserterError(f"{ended} has ended", "Is the port taken? Give another: --prefect-port, --mlflow-port")
    except KeyboardInterrupt:
        say("stopped")
    finally:
        guard.stop(prefect)
        guard.stop(mlflow)


if __name__ == "__main__":
    main()
