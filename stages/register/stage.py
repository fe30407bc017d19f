"""Write the runs first, then the version with all its tags in one step, then the alias.

In this order the stage can be killed at any point and run again.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.files import link, share
from inserter.params import Params, Register
from inserter.paths import WORK
from inserter.registry.tracking import CHALLENGER, connect, experiment_id
from inserter.release.facts import REPORTED, known
from inserter.release.folder import export
from inserter.run.runner import say
from stages.register.described import datasets, description, origin
from stages.register.inputs import MODEL, Inputs, lineage, read_inputs, scores
from stages.register.runs import log_metrics, log_pipeline, log_stages
from stages.register.samples import log_samples

if TYPE_CHECKING:
    from mlflow import MlflowClient


def main(params: Params) -> dict[str, object]:
    """Register the version of these inputs, or find the one that they already have.

    Return the version's {"model", "version", "alias", "fingerprint"}.

    Raises InserterError if an input or the tracking store is missing.
    """
    inputs = read_inputs()
    register = params.register_
    client = connect(register, write=True)
    experiment = experiment_id(client, register)
    version = find_version(client, register, inputs.fingerprint)
    if version is None:
        version = _record_or_explain(client, experiment, params, inputs=inputs)
    else:
        say(f"register: these inputs are already version {version} of {register.model}")
    client.set_registered_model_alias(register.model, CHALLENGER, str(version))
    made = client.get_model_version(register.model, str(version))
    if not made.description:
        client.update_model_version(register.model, str(version), description(params, inputs))
    close_runs(client, experiment, inputs.fingerprint, kept=made.run_id or "")
    say(f"register: {register.model} version {version} is @{CHALLENGER}")
    return {"model": register.model, "version": version, "alias": CHALLENGER, "fingerprint": inputs.fingerprint}


def find_version(client: "MlflowClient", register: Register, fingerprint: str) -> int | None:
    """Return the newest version that was made from the same inputs, or None."""
    found = client.search_model_versions(f"name = '{register.model}' and tags.fingerprint = '{fingerprint}'")
    return max((int(version.version) for version in found), default=None)


def _record_or_explain(client: "MlflowClient", experiment: str, params: Params, *, inputs: Inputs) -> int:
    from mlflow.exceptions import MlflowException

    try:
        return record(client, experiment, params, inputs=inputs)
    except (MlflowException, OSError) as error:
        where = client.get_experiment(experiment).artifact_location
        raise InserterError(
            f"MLflow could not store the version ({' '.join(str(error).split())[:200]})",
            f"Free space in {where} or correct the named problem, then run `dvc repro`. No version was registered",
        ) from error


def record(client: "MlflowClient", experiment: str, params: Params, *, inputs: Inputs) -> int:
    """Write a parent run with its nested runs, the model and its version. Return the version."""
    import mlflow
    from mlflow.utils.file_utils import local_file_uri_to_path

    from models.pyfunc import pyfunc_arguments

    register = params.register_
    tags = {"fingerprint": inputs.fingerprint, "git.commit": inputs.commit, "git.dirty": inputs.dirty}
    # Seconds. The default of 10 s is longer than this stage takes.
    mlflow.set_system_metrics_sampling_interval(1)
    name = f"pipeline-{inputs.fingerprint[:8]}"
    with mlflow.start_run(experiment_id=experiment, run_name=name, tags=tags, log_system_metrics=True) as run:
        say("register: writing runs, curves and samples")
        log_pipeline(client, run.info.run_id, params, inputs=inputs)
        log_samples(client, run.info.run_id, register.audio_samples, seed=params.benchmark.seed)
        log_stages(client, run.info.run_id, experiment, params=params, inputs=inputs)
        client.log_inputs(run.info.run_id, datasets(inputs))
        say("register: writing the model")
        with exported(params, inputs) as folder:
            logged = mlflow.pyfunc.log_model(name="model", **pyfunc_arguments(folder))
        log_metrics(client, run.info.run_id, scores(inputs.evaluate), model_id=logged.model_id)
        kept = client.get_logged_model(logged.model_id).artifact_location
        share(MODEL, Path(local_file_uri_to_path(kept)) / "artifacts" / MODEL.name)
        # The tags are written together with the version. After a kill, the next attempt finds the
        # version by its fingerprint.
        version = mlflow.register_model(logged.model_uri, register.model, tags=lineage(inputs) | origin(params))
    return int(version.version)


@contextmanager
def exported(params: Params, inputs: Inputs) -> Iterator[Path]:
    """Yield the model as the folder that `inserter export` writes; its weights are hard links."""
    reports = {name: inputs.reports[name] for name in REPORTED if name in inputs.reports}
    facts = known(params, reports, commit=inputs.commit, dirty=inputs.dirty)
    folder = WORK / "register" / MODEL.name
    shutil.rmtree(folder, ignore_errors=True)  # of a stage that was killed
    try:
        export(MODEL, folder, facts, max_new_tokens=params.evaluate.max_new_tokens, place=link)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def close_runs(client: "MlflowClient", experiment: str, fingerprint: str, *, kept: str) -> None:
    """End the version's run, and mark other unfinished runs of the same inputs as failed.

    kept: the id of the version's run. The other runs were killed.
    """
    open_runs = client.search_runs(
        [experiment], f"tags.fingerprint = '{fingerprint}' and attributes.status = 'RUNNING'", max_results=1000
    )
    for run in open_runs:
        if run.info.run_id == kept:
            client.set_terminated(kept, "FINISHED")
        else:
            client.set_tag(run.info.run_id, "superseded_by", kept)
            client.set_terminated(run.info.run_id, "FAILED")
