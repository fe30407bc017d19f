"""Record what promotion decided: here by version, and in the registry.

The module is light to import, so that a run with nothing to do stays quick.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from inserter.files import read_json, read_jsonl, write_json
from inserter.params import load
from inserter.paths import REPORTS, WORK

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PROMOTED, KEPT, REFUSED = "promoted", "kept", "refused"  # decisions by the rules
FORCED, RESTORED, WITHDRAWN = "forced", "restored", "withdrawn"  # decisions by a person
MOVES = (PROMOTED, FORCED, RESTORED)  # after which the version is champion
PROMOTIONS = WORK / "promotion.json"
LOG = "promotion.jsonl"  # artifact of the version's run: one line per decision


def decisions() -> dict[str, dict[str, object]]:
    """Return {version: what `flows.promotion.promote` returned}."""
    return read_json(PROMOTIONS) if PROMOTIONS.exists() else {}


def registered() -> dict[str, object]:
    """Return reports/register.json, or {}."""
    path = REPORTS / "register.json"
    return read_json(path) if path.exists() else {}


def pending() -> bool:
    """Return whether a version was registered that no promotion has looked at.

    A run that is killed between registration and promotion leaves such a version.
    """
    version = registered().get("version")
    return version is not None and str(version) not in decisions()


def decide(version: int | None = None, because: str | None = None) -> dict[str, object]:
    """Promote `version` (None: the challenger) if it has earned it, and record the decision.

    because: a person's reason to promote it whatever the rules say.
    """
    from flows.promotion import promote

    decision = promote(load().register_, version, because)
    _keep(decision)
    return decision


def undo(because: str | None = None) -> list[dict[str, object]]:
    """Give the alias back to the champion before, and record it. See `flows.promotion.rollback`."""
    from flows.promotion import rollback

    done = rollback(load().register_, because)
    _keep(*done)
    return done


def _keep(*new: dict[str, object]) -> None:
    known = decisions() | {str(decision["version"]): decision for decision in new}
    holder = next((str(decision["version"]) for decision in new if decision["alias"]), None)
    if holder:
        known = {version: one if version == holder else one | {"alias": None} for version, one in known.items()}
    write_json(PROMOTIONS, known)


def write_down(client: "MlflowClient", version: "ModelVersion", result: Mapping[str, object]) -> None:
    """Write tags promotion.* on the version, and a line in its run.

    The tag `withdrawn` stays from a rollback until the version is champion again.
    """
    name, number = version.name, str(version.version)
    facts = {k: v for k, v in result.items() if k not in ("model", "version", "alias") and v is not None}
    tags = {f"promotion.{key}": str(value) for key, value in facts.items()}
    if result["decision"] == WITHDRAWN:
        tags[WITHDRAWN] = f"{result['time']}, {result['by']}: {result['reason']}"
    for key in version.tags:
        moved = key == WITHDRAWN and result["decision"] in MOVES
        if moved or (key.startswith("promotion.") and key not in tags):  # a figure of an earlier decision
            client.delete_model_version_tag(name, number, key)
    for key, value in tags.items():
        client.set_model_version_tag(name, number, key, value)
    lines = [json.dumps(line, sort_keys=True, ensure_ascii=False) for line in [*log(client, version), result]]
    client.log_text(version.run_id or "", "\n".join(lines) + "\n", LOG)


def log(client: "MlflowClient", version: "ModelVersion") -> list[dict[str, object]]:
    """Return all decisions on a version, oldest first."""
    from mlflow.exceptions import MlflowException

    try:
        return list(read_jsonl(client.download_artifacts(version.run_id or "", LOG)))
    except (MlflowException, OSError):  # there is none yet
        return []


def before(client: "MlflowClient", champion: "ModelVersion") -> list[int]:
    """Return the champions before `champion`, oldest first, by the line that made it champion.

    An older line knows only the last one.
    """
    move = next((line for line in reversed(log(client, champion)) if line["decision"] in MOVES), None)
    if move is None:
        return []
    known = move.get("before")
    against = move.get("against")
    return [int(version) for version in known] if isinstance(known, list) else [int(str(against))] if against else []
