"""Find registered versions, and the files that belong to them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.errors import InserterError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PAGE = 200  # versions per request


def by_alias(client: "MlflowClient", model: str, alias: str) -> "ModelVersion | None":
    """Return the version that has the alias, or None."""
    found = client.search_registered_models(f"name = '{model}'")
    number = found[0].aliases.get(alias) if found else None
    return client.get_model_version(model, str(number)) if number is not None else None


def numbered(client: "MlflowClient", model: str, version: int) -> "ModelVersion":
    """Return a version by its number. Raises InserterError that lists the versions."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(model, str(version))
    except MlflowException as error:
        known = sorted(int(one.version) for one in versions(client, model))
        raise InserterError(
            f"{model} has no version {version}", f"Choose a registered version: {', '.join(map(str, known)) or 'none'}"
        ) from error


def versions(client: "MlflowClient", model: str) -> Iterator["ModelVersion"]:
    """Yield every version of the model, in no order."""
    token = None
    while True:
        page = client.search_model_versions(f"name = '{model}'", max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def model_folder(client: "MlflowClient", name: str, version: str, *, place: str | None) -> Path:
    """Return the folder with the weights of a version.

    place: an existing folder for the files of a registry on another machine. None: MLflow chooses,
    and files on this disk stay where they are.

    Raises MlflowException or OSError if the files cannot be had.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model

    logged = Path(download_artifacts(client.get_model_version_download_uri(name, version), dst_path=place))
    return logged / str(Model.load(str(logged)).flavors["python_function"]["artifacts"]["model"]["path"])


def artifact(client: "MlflowClient", run: str, name: str, *, place: str | None = None) -> Path | None:
    """Return the path here of a file in the root of a run's artifacts, or None if there is none.

    place: an existing folder for the files of a registry on another machine.
    """
    if name not in {file.path for file in client.list_artifacts(run)}:
        return None
    return Path(client.download_artifacts(run, name, place))
