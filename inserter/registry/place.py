"""Decide where the registry is, and keep the files of an SQLite file beside it.

If the address of the registry is relative, the stored paths are relative too.

MLflow makes the location of an experiment absolute when it creates the experiment. MLflow derives
the locations of runs and models from that location. A moved checkout would therefore lose its
models, and a copy would write into the original's files.
"""

import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from inserter.paths import workspace

if TYPE_CHECKING:
    from inserter.params import Register

VARIABLE = "MLFLOW_TRACKING_URI"
PREFIX = "sqlite:///"
ARTIFACTS = "mlartifacts"
OWN = re.compile(rf"/({ARTIFACTS}|mlruns/\d+)$")  # ours, and MLflow's default experiment
BUSY_SECONDS = 60.0
DERIVED = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)


def tracking_uri(register: "Register") -> str:
    """Return the address of the registry: MLFLOW_TRACKING_URI, else `register.tracking_uri`."""
    return os.environ.get(VARIABLE) or register.tracking_uri


def local_file(register: "Register") -> Path | None:
    """Return the SQLite file of the registry, or None if the registry is a server."""
    return database(tracking_uri(register))


def database(address: str) -> Path | None:
    """Return the SQLite file of a tracking address, or None for the address of a server."""
    return Path(address.removeprefix(PREFIX)) if address.startswith(PREFIX) else None


def absolute(path: Path) -> str:
    """Return the address of `path` that is valid from any folder.

    MLflow keeps one connection per address. SQLAlchemy (2.1 and later) decodes what follows a %.
    A path with a `?` stays as it is, because SQLAlchemy takes `?` as the start of the options.
    """
    return PREFIX + str(path if "?" in str(path.resolve()) else path.resolve()).replace("%", "%25")


def writable(path: Path) -> bool:
    """Return whether SQLite can write `path` and, beside it, its journal."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def settle(path: Path) -> None:
    """Rewrite every location that is stored in the registry `path` to one beside `path`.

    A registry that may not be written stays unchanged.
    """
    if not path.exists() or not writable(path):
        return
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        if not _moved(connection, path.parent):
            return
        connection.execute("BEGIN IMMEDIATE")  # another process may settle it too
        for old, new in _moved(connection, path.parent).items():
            for table, column in DERIVED:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )
        connection.execute("COMMIT")
    finally:
        connection.close()


def _moved(connection: sqlite3.Connection, folder: Path) -> dict[str, str]:
    """Return {stored location of an experiment: its present location} of those that moved."""
    stored = [row[0] for row in connection.execute("SELECT DISTINCT artifact_location FROM experiments")]
    found = {old: _location(folder / own[1]) for old in stored if old and (own := OWN.search(f"/{old}"))}
    return {old: new for old, new in found.items() if old != new}


def _location(path: Path) -> str:
    """Return `path` as a location, quoted because MLflow decodes what follows a %."""
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def join_workspace(path: Path) -> None:
    """Link the registry `path` to the workspace's own, inside DVC's temporary copy.

    DVC makes this copy for an experiment (`dvc exp run --temp`, `--queue`) and removes it at the
    end.
    """
    home = workspace()
    if home == Path() or path.is_absolute():
        return
    (home / path.parent / ARTIFACTS).mkdir(parents=True, exist_ok=True)
    for own in (path, path.parent / ARTIFACTS):
        if not own.is_symlink():
            own.symlink_to(home / own)
