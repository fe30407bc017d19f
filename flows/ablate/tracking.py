"""Log an experiment as an MLflow run, nested below the run of its group.

MLflow's page then compares arms and lays their curves over each other.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from flows.ablate.arms import Experiment
from flows.ablate.results import STAGES, Row
from inserter.files import read_json
from inserter.params import Register
from inserter.paths import REPORTS, SYSTEM
from inserter.registry.tracking import RESPONSES, connect, experiment_id
from stages.register.inputs import LOSSES_FILE, RESPONSES_FILE
from stages.register.runs import curves, flatten, log_curve, log_metrics, log_params, log_system
from stages.register.samples import log_samples

if TYPE_CHECKING:
    from mlflow import MlflowClient

NOT_METRICS = ("group", "arm", "seed", "key", "commit", "command", "gap_by_positions")


def log_run(register: Register, experiment: Experiment, row: Row, *, folder: Path) -> str:
    """Log the run of `experiment` in the MLflow experiment NAME-ablate, and return its id.

    A run that the experiment had before is deleted.
    """
    client = connect(register, write=True)
    where = experiment_id(client, register.model_copy(update={"experiment": f"{register.experiment}-ablate"}))
    for old in client.search_runs([where], f"tags.experiment = '{experiment.name}'"):
        client.delete_run(old.info.run_id)
    tags = {
        "experiment": experiment.name,
        "group": experiment.group,
        "arm": experiment.arm,
        "seed": str(experiment.seed),
        "key": row["key"],
        "git.commit": row["commit"],
        "mlflow.parentRunId": _group(client, where, experiment.group),
    }
    run_id = client.create_run(where, tags=tags, run_name=experiment.name).info.run_id
    now = int(time.time() * 1000)
    log_params(client, run_id, {"arm": experiment.arm, "seed": experiment.seed, **experiment.overrides})
    log_metrics(
        client, run_id, dict(flatten({name: value for name, value in row.items() if name not in NOT_METRICS})), timestamp=now
    )
    for stage in STAGES:
        report = folder / REPORTS / f"{stage}.json"
        client.log_artifact(run_id, str(report), "reports")
        log_metrics(client, run_id, {f"{stage}.{name}": value for name, value in flatten(read_json(report))}, timestamp=now)
        if (folder / SYSTEM / f"{stage}.json").exists():  # not if the stage came from the cache
            log_system(client, run_id, read_json(folder / SYSTEM / f"{stage}.json"), start=now, prefix=f"system/{stage}")
        for path in curves(folder / REPORTS / "plots", stage):
            log_curve(client, run_id, path, timestamp=now, prefix=path.stem)
    for path in (RESPONSES_FILE, LOSSES_FILE):  # for `inserter compare`
        if (folder / path).exists():
            client.log_artifact(run_id, str(folder / path), RESPONSES.partition("/")[0])
    log_samples(client, run_id, register.audio_samples, seed=experiment.seed, root=folder)
    client.set_terminated(run_id, "FINISHED")
    return run_id


def _group(client: "MlflowClient", where: str, group: str) -> str:
    """Return the parent run of the group's experiments; make it if there is none."""
    found = client.search_runs([where], f"tags.kind = 'group' and tags.group = '{group}'", max_results=1)
    if found:
        return found[0].info.run_id
    run_id = client.create_run(where, tags={"kind": "group", "group": group}, run_name=group).info.run_id
    client.set_terminated(run_id, "FINISHED")
    return run_id
