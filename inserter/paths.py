"""Where things are, relative to the root of the workspace (the folder of `dvc.yaml`, the current directory)."""

import os
from pathlib import Path

DATA = Path("data")  # outputs of the stages, tracked by DVC: data/STAGE/
REPORTS = Path("reports")  # reports/STAGE.json: the stage's metrics, tracked by DVC
SYSTEM = REPORTS / "system"  # wall time and memory by stage: never the same twice, so outside DVC
GATES = REPORTS / "gates"  # what the Great Expectations suites found
WORK = Path(".work")  # half-done work, outside DVC's outputs


def states_home() -> Path:
    """Encoder states of clips, by content: `INSERTER_STATES` is a folder that several working copies share."""
    return Path(os.environ.get("INSERTER_STATES") or WORK / "states")


def cache_home() -> Path:
    """Converted assets, shared by all workspaces of a user. `INSERTER_CACHE` moves it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("INSERTER_CACHE") or Path(base) / "inserter")
