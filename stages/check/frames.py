"""Tables on disk as data frames of the few columns that the rules need."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from inserter.files import read_batches

if TYPE_CHECKING:
    import pandas as pd

Row = dict


def frame(path: Path, schema: pa.Schema, pick: Callable[[Row], Row], columns: list[str]) -> "pd.DataFrame":
    """`pick(row)` of every row, columns as listed. Read in batches: of a long text only what is picked stays."""
    import pandas as pd

    batches = [pd.DataFrame([pick(row) for row in batch], columns=columns) for batch in read_batches(path, schema)]
    return pd.concat(batches, ignore_index=True) if batches else pd.DataFrame(columns=columns)


def picker(*columns: str) -> Callable[[Row], Row]:
    return lambda row: {column: row[column] for column in columns}


class Shards:
    """Whether the bytes of a clip are there: a shard that was cut short is found before training reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes: dict[str, int] = {}

    def hold(self, row: Row) -> bool:
        shard = row["shard"]
        if shard is None:
            return False
        if shard not in self.sizes:
            path = self.folder / shard
            self.sizes[shard] = path.stat().st_size if path.is_file() else 0
        return row["size"] > 0 and row["offset"] + row["size"] <= self.sizes[shard]
