"""Record what promotion decided, by version.

The module is light to import, so that a run with nothing to do stays quick.
"""

from inserter.files import read_json, write_json
from inserter.params import load
from inserter.paths import REPORTS, WORK

PROMOTIONS = WORK / "promotion.json"


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


def decide(version: int | None = None) -> dict[str, object]:
    """Promote `version` (None: the challenger) if it has earned it, and record the decision."""
    from flows.promotion import promote

    decision = promote(load().register_, version)
    write_json(PROMOTIONS, {**decisions(), str(decision["version"]): decision})
    return decision
