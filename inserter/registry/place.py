"""Where a registry in an SQLite file keeps its files: beside it, and as a path that is relative where the address is.

MLflow makes every location absolute when an experiment is created, and derives those of runs and models from it. By that a moved
checkout would lose its models, and a copy would write into the original's.
"""

import os
import re
import sqlite3
from pathlib import Path
from urllib.parse import quote

PREFIX = "sqlite:///"
ARTIFACTS = "mlartifacts"
OWN = re.compile(rf"/({ARTIFACTS}|mlruns/\d+)$")  # ours, and that of MLflow's default experiment
BUSY_SECONDS = 60.0
DERIVED = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)


def database(address: str) -> Path | None:
    """The SQLite file of a tracking address, or None where it is a server's."""
    return Path(address.removeprefix(PREFIX)) if address.startswith(PREFIX) else None


def absolute(path: Path) -> str:
    """The address of `path` from any folder: MLflow keeps one connection an address. To SQLAlchemy a ? begins the options."""
    return PREFIX + str(path if "?" in str(path.resolve()) else path.resolve())


def writable(path: Path) -> bool:
    """SQLite writes its journal beside the file."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def settle(path: Path) -> None:
    """Make every location that the registry `path` has stored one beside it. A registry that nobody may write is left as it is."""
    if not path.exists() or not writable(path):
        return
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        if not _moved(connection, path.parent):
            return
        connection.execute("BEGIN IMMEDIATE")  # another process may do the same
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
    """{stored location of an experiment: where it is now}."""
    stored = [row[0] for row in connection.execute("SELECT DISTINCT artifact_location FROM experiments")]
    found = {old: _location(folder / own[1]) for old in stored if old and (own := OWN.search(f"/{old}"))}
    return {old: new for old, new in found.items() if old != new}


def _location(path: Path) -> str:
    """As MLflow reads it: what follows a % is decoded."""
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def join_workspace(path: Path) -> None:
    """Let the registry `path` be the workspace's own in the temporary copy that DVC makes for an experiment (`dvc exp run --temp`,
    `--queue`): it is removed at the end."""
    exps = next((parent for parent in Path.cwd().parents if parent.parts[-3:] == (".dvc", "tmp", "exps")), None)
    if exps is None or path.is_absolute():
        return
    workspace = exps.parents[2]
    (workspace / path.parent / ARTIFACTS).mkdir(parents=True, exist_ok=True)
    for own in (path, path.parent / ARTIFACTS):
        if not own.is_symlink():
            own.symlink_to(workspace / own)
