"""Read tables on disk as data frames of the few columns that the rules need."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.files import read_batches
from inserter.tables import InShard, Row, Table

if TYPE_CHECKING:
    import pandas as pd

Picked = dict[str, object]  # a row of a data frame


def frame(path: Path, table: Table[Row], pick: Callable[[Row], Picked], *, columns: list[str]) -> "pd.DataFrame":
    """Return a data frame of `pick(row)` for every row, with the given columns.

    The table is read in batches, so only what is picked of a long text stays in memory. In a broken
    table every column may be None, whatever the type of `row` says.
    """
    import pandas as pd

    batches = [pd.DataFrame([pick(row) for row in batch], columns=columns) for batch in read_batches(path, table)]
    return pd.concat(batches, ignore_index=True) if batches else pd.DataFrame(columns=columns)


def picker(*columns: str) -> Callable[[Mapping[str, object]], Picked]:
    return lambda row: {column: row[column] for column in columns}


class Shards:
    """Shards of a folder, which tell whether the bytes of a clip exist.

    So a truncated shard is found before training reads it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes: dict[str, int] = {}

    def hold(self, row: InShard) -> bool:
        shard = row["shard"]
        if shard is None:
            return False
        if shard not in self.sizes:
            path = self.folder / shard
            self.sizes[shard] = path.stat().st_size if path.is_file() else 0
        return row["size"] > 0 and row["offset"] + row["size"] <= self.sizes[shard]
