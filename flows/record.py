"""What promotion decided, by version. Light to import, so that a run with nothing to do stays quick."""

from typing import Any

from inserter.files import read_json, write_json
from inserter.params import load
from inserter.paths import REPORTS, WORK

PROMOTIONS = WORK / "promotion.json"


def decisions() -> dict[str, dict[str, Any]]:
    """{version: what `flows.promotion.promote` returned}."""
    return read_json(PROMOTIONS) if PROMOTIONS.exists() else {}


def registered() -> dict[str, Any]:
    """reports/register.json, or {}."""
    path = REPORTS / "register.json"
    return read_json(path) if path.exists() else {}


def pending() -> bool:
    """Whether a version was registered that no promotion has looked at (a run that was killed between the two)."""
    version = registered().get("version")
    return version is not None and str(version) not in decisions()


def decide(version: int | None = None) -> dict[str, Any]:
    """Promote `version` (None: the challenger) if it has earned it, and keep the decision."""
    from flows.promotion import promote

    decision = promote(load(), version)
    write_json(PROMOTIONS, {**decisions(), str(decision["version"]): decision})
    return decision
