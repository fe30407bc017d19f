"""Read the bytes of a clip from its shard; this needs no package beside the standard library."""

from pathlib import Path

from inserter.errors import InserterError
from inserter.tables import InShard, known

ABSENT = "Run `dvc repro`, or `dvc pull` if DVC has a remote"


def read_clip_bytes(folder: Path | str, row: InShard) -> bytes:
    """Return the FLAC bytes of one clip in `folder`; `row` says where it is.

    Raises InserterError when the shard is absent or truncated, or is named outside the folder: a
    table of others must not choose which file a page shows.
    """
    if "/" in (name := known(row["shard"])):
        raise InserterError(
            f"{folder}: the shard {name!r} of a table is outside the folder", "Take the table from its source again"
        )
    path = Path(folder) / name
    try:
        with path.open("rb") as file:
            file.seek(row["offset"])
            data = file.read(row["size"])
    except FileNotFoundError as error:
        raise InserterError(f"shard {path} is missing", ABSENT) from error
    if len(data) != row["size"]:
        raise InserterError(f"shard {path} is truncated", "Delete that shard and run `dvc repro`")
    return data
