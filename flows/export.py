"""`inserter export`: write a model as a folder that transformers loads, and send it to a hub."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.ask import FOLDER, default_model
from inserter.errors import InserterError
from inserter.files import read_json
from inserter.params import Params, load
from inserter.paths import REPORTS
from inserter.release.card import Facts
from inserter.release.facts import REPORTED, committed, known
from inserter.release.folder import export as write
from inserter.release.hub import check_access, push
from inserter.run.git import git_state

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PARAMS = "params.yaml"


def export(target: Path, model: str | None = None, *, repository: str | None = None, licence: str | None = None) -> list[str]:
    """Write a model to the new folder `target`, and return the names of its files.

    model: a folder, or `models:/NAME@ALIAS` (or /VERSION). None: the registered champion, else
        data/sft/model.
    repository: ORG/NAME on the hub, to which the folder is sent.
    licence: the model's licence as hubs name it. None: that of the LM, if it is known.

    Raises InserterError if there is no such model, if `target` has content, or if the hub refuses.
    """
    if repository:
        check_access(repository)
    params = load()
    where = model or default_model(params.register_)
    with tempfile.TemporaryDirectory() as scratch:
        if where.startswith("models:/"):
            folder, facts = _registered(where, params, Path(scratch))
        else:
            folder, facts = Path(where), _of_folder(Path(where), params)
        name = (repository or target.absolute().name).rpartition("/")[2]
        facts = replace(facts, name=name, code=committed(*git_state()), license=licence or facts.license)
        files = write(folder, target, facts, max_new_tokens=params.evaluate.max_new_tokens)
    if repository:
        push(target, repository)
    return files


def _of_folder(folder: Path, params: Params) -> Facts:
    """Return what is known of a folder: the reports here are those of the last training alone."""
    if folder.resolve() != FOLDER.resolve():
        return Facts(name=folder.name)
    return known(params, _reports({name: REPORTS / f"{name}.json" for name in REPORTED}))


def _reports(paths: Mapping[str, Path]) -> dict[str, Mapping[str, Any]]:
    return {name: read_json(path) for name, path in paths.items() if path.exists()}


def _registered(uri: str, params: Params, scratch: Path) -> tuple[Path, Facts]:
    """Return the model's folder of a registered version, and what its runs say of it.

    scratch: a folder for the files of a registry on another machine.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    from inserter.registry.tracking import connect
    from inserter.registry.versions import model_folder

    client = connect(params.register_)
    try:
        name, number = get_model_name_and_version(client, uri)
        version = client.get_model_version(name, number)
        folder = model_folder(client, name, number, place=_new(scratch, "model"))
        facts = _facts(client, version, scratch)
    except (MlflowException, OSError) as error:
        remedy = "`inserter status` shows the versions. Or give --model DIR"
        raise InserterError(f"{uri} cannot be had ({' '.join(str(error).split())[:160]})", remedy) from error
    return folder, facts


def _facts(client: "MlflowClient", version: "ModelVersion", scratch: Path) -> Facts:
    from inserter.registry.versions import artifact

    told = Facts(name=version.name)
    if version.run_id:
        run = client.get_run(version.run_id)
        runs = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{version.run_id}'")
        stages = {one.data.tags.get("stage", ""): one.info.run_id for one in runs}
        paths = {
            name: artifact(client, stages[name], f"{name}.json", place=_new(scratch, name)) for name in REPORTED if name in stages
        }
        reports = _reports({name: path for name, path in paths.items() if path})
        params = artifact(client, version.run_id, PARAMS, place=_new(scratch, "run"))
        told = known(load(params), reports) if params else replace(told, reports=reports)
    commit = committed(version.tags.get("git.commit", "unknown"), version.tags.get("git.dirty", ""))
    return replace(told, version=f"{version.name} version {version.version}", commit=commit)


def _new(scratch: Path, name: str) -> str:
    (scratch / name).mkdir(exist_ok=True)
    return str(scratch / name)
