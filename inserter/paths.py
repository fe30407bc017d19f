"""Paths of the workspace, relative to its root.

The root is the folder of `dvc.yaml` and the current directory.
"""

import os
from pathlib import Path

DATA = Path("data")  # outputs of the stages (data/STAGE/), tracked by DVC
REPORTS = Path("reports")  # metrics of the stages (reports/STAGE.json), tracked by DVC
SYSTEM = REPORTS / "system"  # wall time and memory per stage; they differ in every run: not in DVC
GATES = REPORTS / "gates"  # results of the Great Expectations suites
WORK = Path(".work")  # unfinished work, outside DVC's outputs


def workspace() -> Path:
    """Return the folder of the user's own workspace: the current one.

    `dvc exp run --temp` and `--queue` run in a copy that DVC makes below `.dvc/tmp/exps`. There,
    return the folder that the copy is of.
    """
    exps = next((parent for parent in Path.cwd().parents if parent.parts[-3:] == (".dvc", "tmp", "exps")), None)
    return exps.parents[2] if exps else Path()


def states_home() -> Path:
    """Return the folder of the clips' encoder states, which are keyed by content.

    `INSERTER_STATES` names a folder that several working copies share.
    """
    return Path(os.environ.get("INSERTER_STATES") or WORK / "states")


def cache_home() -> Path:
    """Return the folder of converted assets, which all workspaces of a user share.

    `INSERTER_CACHE` moves the folder.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("INSERTER_CACHE") or Path(base) / "inserter")
