"""`inserter evaluate`: measure a registered version on the items of this workspace.

The record is kept beside the version: files in evaluated/ITEMS/ of its run, and tags
`evaluated.ITEMS.*` of the version. ITEMS is the benchmark's fingerprint, as in the tag `items`.
"""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.files import fingerprint, write_json
from inserter.params import Params, checked, load
from inserter.params.whole import read
from inserter.paths import DATA, WORK
from inserter.registry.place import local_file
from inserter.registry.tracking import CHAMPION, RESPONSES, connect
from inserter.registry.versions import artifact, by_alias, model_folder, numbered
from inserter.run.lifetime import stage_lock
from stages.register.inputs import PARAMS, items_fingerprint, scores

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

RECORDS = "evaluated"  # folder of the run's artifacts, and first part of the tags
DONE = "time"  # the tag that is written last
CONTEXTS = (DATA / "interleave" / "heldout.parquet", DATA / "verify" / "clean.parquet")
# What belongs to the model and not to the measurement: its parts, and the voices that it has heard.
OWN = {"assets": ("lm", "encoder"), "warmup": ("adapter",), "synthesize": ("voices",)}


def evaluate(version: int | None = None) -> dict[str, object]:
    """Measure `version` (None: the champion) on today's items, and keep the record beside it.

    Return {"model", "version", "items", "files", "time", scores by the names of the tags}.
    `files` is the folder of the run's artifacts. A record of the same items and settings is
    returned as it is. A killed evaluation resumes. Nothing in data/ and reports/ changes.

    Raises InserterError if the version or an input is missing, or if the items change meanwhile.
    """
    params = load()
    register = params.register_
    items = items_fingerprint()
    for path in CONTEXTS:
        if not path.exists():
            raise InserterError(f"{path} is missing", "Run `inserter run verify interleave`, or `dvc pull` if DVC has a remote")
    settings = fingerprint(params.evaluate.model_dump(mode="json"), files=CONTEXTS)
    client = connect(register, write=True)
    chosen = numbered(client, register.model, version) if version is not None else by_alias(client, register.model, CHAMPION)
    if chosen is None:
        raise InserterError(f"{register.model} has no champion in the registry", "Name a version with --version N")
    if not chosen.run_id:
        raise InserterError(f"version {chosen.version} belongs to no run, which would hold the record", "Choose another version")
    with stage_lock(WORK / "evaluate-version.lock"):
        found = record(chosen.tags, items)
        if found.get("settings") != settings:
            _measure(client, chosen, params, items=items, settings=settings)
            found = record(client.get_model_version(chosen.name, str(chosen.version)).tags, items)
    return {"model": chosen.name, "version": int(chosen.version), "items": items, "files": f"{RECORDS}/{items}", **found}


def line(found: Mapping[str, object]) -> str:
    """Return what `evaluate` returned, as one line."""
    shown = {"heard": "follow.heard", "read": "follow.read", "chance": "follow.chance", "gap closed": "gap_closed"}
    figures = ", ".join(f"{name} {shown_score(found.get(key))}" for name, key in shown.items())
    return f"{found['model']} version {found['version']} on items {found['items']}: {figures}"


def shown_score(value: object) -> str:
    """Return a score as it stands in a tag, with three digits, or `-` if nothing was measured."""
    return "-" if value in (None, "", "None") else f"{float(str(value)):.3f}"


def record(tags: Mapping[str, str], items: str) -> dict[str, str]:
    """Return the record of a version on `items` by name, or {} if there is no whole one."""
    prefix = f"{RECORDS}.{items}."
    found = {name.removeprefix(prefix): value for name, value in tags.items() if name.startswith(prefix)}
    return found if DONE in found else {}


def recorded(tags: Mapping[str, str]) -> list[str]:
    """Return the items of the version's whole records, newest first."""
    times = {
        name.split(".")[1]: value for name, value in tags.items() if name.startswith(f"{RECORDS}.") and name.endswith(f".{DONE}")
    }
    return sorted(times, key=lambda items: times[items], reverse=True)


def responses(items: str) -> str:
    """Return the artifact with the verdicts of the record on `items`."""
    return f"{RECORDS}/{items}/{Path(RESPONSES).name}"


def _measure(client: "MlflowClient", version: "ModelVersion", params: Params, *, items: str, settings: str) -> None:
    from mlflow.exceptions import MlflowException

    from stages.evaluate.stage import evaluate as measure

    home = WORK / "versions" / str(version.run_id)
    folder, params = _model(client, version, params, home=home)
    work, report = measure(params, folder, f"versions/{version.run_id}/evaluate")
    if items_fingerprint() != items:
        raise InserterError("data/benchmark has changed meanwhile, so nothing was recorded", "Run `inserter evaluate` again")
    write_json(work / "out" / "evaluate.json", report)
    name, number = version.name, str(version.version)
    prefix = f"{RECORDS}.{items}"
    if record(version.tags, items):
        client.delete_model_version_tag(name, number, f"{prefix}.{DONE}")
    try:
        for file in ("responses.jsonl", "losses.parquet", "evaluate.json"):  # for `inserter compare`
            client.log_artifact(str(version.run_id), str(work / "out" / file), f"{RECORDS}/{items}")
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        remedy = "Correct the named problem, then run `inserter evaluate` again: nothing is computed twice"
        raise InserterError(f"the record cannot be stored ({reason})", remedy) from error
    when = datetime.now(UTC).isoformat(timespec="seconds")
    for key, value in {**scores(report), "settings": settings, DONE: when}.items():
        client.set_model_version_tag(name, number, f"{prefix}.{key}", value)
    shutil.rmtree(home, ignore_errors=True)


def _model(client: "MlflowClient", version: "ModelVersion", params: Params, *, home: Path) -> tuple[Path, Params]:
    """Return the version's folder, and today's parameters with those in OWN from its run.

    home: folder for the files of a registry on another machine.
    """
    from mlflow.exceptions import MlflowException

    local = local_file(params.register_) is not None
    place = home / "model"
    place.mkdir(parents=True, exist_ok=True)
    try:
        folder = model_folder(client, version.name, str(version.version), place=None if local else str(place))
        own = artifact(client, str(version.run_id), PARAMS.name, place=None if local else str(home))
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        remedy = "Choose another version: `inserter versions` shows them"
        raise InserterError(f"{version.name} version {version.version} cannot be had ({reason})", remedy) from error
    return folder, _with_own(read(PARAMS), read(own)) if own else params


def _with_own(today: dict[str, object], own: dict[str, object]) -> Params:
    raw = dict(today)
    for section, keys in OWN.items():
        there = own.get(section)
        base = today[section]
        if isinstance(there, dict) and isinstance(base, dict):
            raw[section] = {**base, **{key: there[key] for key in keys if key in there}}
    return checked(raw, "params.yaml of the version")
