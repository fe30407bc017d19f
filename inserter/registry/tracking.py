"""The connection to MLflow that the stage `register` and the promotion share."""

import logging
import os
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.params import Register
from inserter.registry.place import ARTIFACTS, VARIABLE, absolute, join_workspace, local_file, settle, tracking_uri, writable
from inserter.run.quiet import quiet

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHALLENGER, CHAMPION = "challenger", "champion"
FLOW_RUN = "PREFECT__FLOW_RUN_ID"  # Prefect's own variable; a stage gets it from `inserter run` too
RESPONSES = "evaluate/responses.jsonl"  # artifact of a version's run that promotion compares


def connect(register: Register, write: bool = False) -> "MlflowClient":
    """Return a client of the registry, whose address is set for the whole process.

    Raises InserterError if there is no such store, or if `write` is asked of a store that cannot be
    written.
    """
    quiet()
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.exceptions import MlflowException

    address, local = tracking_uri(register), local_file(register)
    if local:
        join_workspace(local)
        if (write or not local.exists()) and not writable(local):
            raise InserterError(f"the registry {local} cannot be written", "Work in a writable copy of this folder (`cp -a`)")
        address = absolute(local)
    for name in ("mlflow", "alembic"):  # after the import, which sets its own level
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        client = mlflow.MlflowClient(address, address)
        client.search_experiments(max_results=1)
        if local:
            settle(local)
    except MlflowException as error:
        reason = " ".join(str(error).split())[:200]
        raise InserterError(
            f"{_said_by()} {tracking_uri(register)!r} cannot be used ({reason})",
            "Give sqlite:///FILE.db or the address of a running MLflow server",
        ) from error
    # MLflow also writes the address to the environment. A process that is started in another folder
    # would take it for the user's.
    given = {name: os.environ.get(name) for name in (VARIABLE, "MLFLOW_REGISTRY_URI")}
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(address)
    for name, value in given.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    return client


def _said_by() -> str:
    return VARIABLE if os.environ.get(VARIABLE) else "register.tracking_uri"


def experiment_id(client: "MlflowClient", register: Register) -> str:
    """Return the id of `register.experiment`; create the experiment if it is new.

    With an SQLite file, the artifacts go to mlartifacts/ beside it.
    """
    experiment = client.get_experiment_by_name(register.experiment)
    if experiment is not None:
        return experiment.experiment_id
    local = local_file(register)
    made = client.create_experiment(register.experiment, artifact_location=ARTIFACTS if local else None)
    if local:
        settle(local)  # before the experiment has content
    return made
