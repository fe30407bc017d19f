"""The clips of a Parquet table by id, written to files once and mapped into memory."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inserter.files import read_arrow, write_json
from inserter.tables import Clip, Row, Table
from inserter.training.columns import read_columns, write_columns

if TYPE_CHECKING:
    import pyarrow as pa

DONE = "clips.json"  # written last
COLUMNS = ("utt_id", "split", "shard", "offset", "size", "n_samples", "duration")


class IndexedClip(Clip):
    """A row of a ClipTable."""

    split: str
    n_samples: int


class ClipTable(Mapping[str, IndexedClip]):
    """Where each clip is and how long it is. Memory does not grow with the table."""

    def __init__(self, folder: Path, shards: Path) -> None:
        """Map the files that `indexed` wrote to `folder`. shards: the folder with the audio."""
        self.shards = shards
        self._columns = read_columns(folder, COLUMNS)

    def __len__(self) -> int:
        return len(self._columns["utt_id"])

    def __iter__(self) -> Iterator[str]:
        return (name.decode() for name in self._columns["utt_id"])

    def __contains__(self, utt_id: object) -> bool:
        return isinstance(utt_id, str) and self._place(utt_id) is not None

    def __getitem__(self, utt_id: str) -> IndexedClip:
        place = self._place(utt_id)
        if place is None:
            raise KeyError(utt_id)
        return self._row(place)

    def total(self, *splits: str) -> tuple[int, float]:
        """Return the number of clips and their seconds, of some splits or of all."""
        seconds = self._columns["duration"]
        if splits:
            seconds = seconds[np.isin(self._columns["split"], [split.encode() for split in splits])]
        return len(seconds), float(seconds.sum())

    def of_split(self, split: str) -> list[IndexedClip]:
        """Return the rows of a split, in the order of their ids."""
        return [self._row(int(place)) for place in np.flatnonzero(self._columns["split"] == split.encode())]

    def samples(self, names: np.ndarray) -> np.ndarray:
        """Return the samples (n,) of clips; -1 where the table lacks one.

        names: bytes (n,), the UTF-8 ids of the clips.
        """
        known = self._columns["utt_id"]
        if not len(known):
            return np.full(len(names), -1)
        places = np.minimum(np.searchsorted(known, names), len(known) - 1)
        return np.where(known[places] == names, self._columns["n_samples"][places], -1)

    def _place(self, utt_id: str) -> int | None:
        names, wanted = self._columns["utt_id"], utt_id.encode()
        place = int(np.searchsorted(names, wanted))
        return place if place < len(names) and names[place] == wanted else None

    def _row(self, place: int) -> IndexedClip:
        utt_id, split, shard, offset, size, n_samples, duration = (self._columns[name][place].item() for name in COLUMNS)
        return {
            "utt_id": utt_id.decode(),
            "split": split.decode(),
            "shard": shard.decode(),
            "offset": offset,
            "size": size,
            "n_samples": n_samples,
            "duration": duration,
        }


def indexed(table: Path, schema: Table[Row], folder: Path, *, shards: Path) -> ClipTable:
    """Write the clips of `table`, sorted by id, to `folder`, unless this is done.

    shards: the folder with the audio.
    """
    if not (folder / DONE).exists():
        found = [_columns(batch) for batch in read_arrow(table, schema, COLUMNS)] or [dict.fromkeys(COLUMNS, np.zeros(0, "S1"))]
        whole = {name: np.concatenate([part[name] for part in found]) for name in COLUMNS}
        order = np.argsort(whole["utt_id"], kind="stable")
        write_columns(folder, [{name: values[order] for name, values in whole.items()}])
        write_json(folder / DONE, {"clips": len(order)})
    return ClipTable(folder, shards)


def _columns(batch: "pa.RecordBatch") -> dict[str, np.ndarray]:
    """Return the columns of a batch. Strings are UTF-8 bytes of one width."""
    import pyarrow as pa

    found = {}
    for name in COLUMNS:
        column = batch.column(name)
        text = pa.types.is_string(column.type)
        values = (column.cast(pa.binary()) if text else column).to_numpy(zero_copy_only=False)
        found[name] = values.astype(np.bytes_) if text else values
    return found
