"""The connection to MLflow that the stage `register` and the promotion share."""

import logging
import os
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.params import Register
from inserter.registry.place import ARTIFACTS, absolute, database, join_workspace, settle, writable
from inserter.run.quiet import quiet

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHALLENGER, CHAMPION = "challenger", "champion"
RESPONSES = "evaluate/responses.jsonl"  # artifact of a version's run that promotion compares


def connect(register: Register, write: bool = False) -> "MlflowClient":
    """Return a client of `register.tracking_uri`, which is set for the whole process.

    Raises InserterError if there is no such store, or if `write` is asked of a store that cannot be
    written.
    """
    quiet()
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.exceptions import MlflowException

    address, local = register.tracking_uri, database(register.tracking_uri)
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
            f"register.tracking_uri {register.tracking_uri!r} cannot be used ({reason})",
            "Give sqlite:///FILE.db or the address of a running MLflow server",
        ) from error
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(address)
    return client


def experiment_id(client: "MlflowClient", register: Register) -> str:
    """Return the id of `register.experiment`; create the experiment if it is new.

    With an SQLite file, the artifacts go to mlartifacts/ beside it.
    """
    experiment = client.get_experiment_by_name(register.experiment)
    if experiment is not None:
        return experiment.experiment_id
    local = database(register.tracking_uri)
    made = client.create_experiment(register.experiment, artifact_location=ARTIFACTS if local else None)
    if local:
        settle(local)  # before the experiment has content
    return made
