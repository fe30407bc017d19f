"""`inserter clip`: find the sound of one utterance by its id, as FLAC."""

from pathlib import Path
from typing import TypedDict

from inserter.audio.clips import read_clip_bytes
from inserter.errors import InserterError
from inserter.paths import DATA
from inserter.tables import InShard

# Folders of clips below data/sft, each with a table.
SFT = (
    ("clips", "clips"),
    ("clips", "quarantine"),
    ("dialogues/recorded", "clips"),
    ("dialogues/spoken", "clips"),
    ("dialogues/spoken", "quarantine"),
)
# (table, its column of ids, the folder of its shards): the clips of pre-training, those of sft, and
# the items of the benchmark.
PLACES = (
    (DATA / "synthesize" / "utterances.parquet", "utt_id", DATA / "synthesize"),
    *((DATA / "sft" / place / f"{name}.parquet", "utt_id", DATA / "sft" / place) for place, name in SFT),
    (DATA / "benchmark" / "items.parquet", "item_id", DATA / "benchmark"),
)


class Row(TypedDict, total=False):
    """A row of one of the tables; `original_...` and `error` are not in all of them."""

    shard: str | None
    offset: int
    size: int
    original_shard: str | None
    original_offset: int
    original_size: int
    error: str | None


def clip(name: str, original: bool = False) -> bytes:
    """Return the FLAC file of the utterance or benchmark item `name`.

    original: as its voice said it, before noise, room and level.
    Raises InserterError if there is no such clip, or no original was kept.
    """
    for table, column, folder in PLACES:
        row = _row(table, column, name) if table.is_file() else None
        if row is not None:
            return read_clip_bytes(folder, _before(row, name) if original else _spoken(row, name))
    tables = [str(table) for table, *_ in PLACES if table.is_file()]
    if not tables:
        raise InserterError("no clip has been synthesized yet", "Run `inserter run synthesize`")
    raise InserterError(f"no clip has the id {name}", f"Take an id from {', '.join(tables)}")


def _row(table: Path, column: str, name: str) -> Row | None:
    """Return the row of that id, or None, without reading the rest of the table into memory."""
    import pyarrow.dataset as ds

    found = ds.dataset(table, format="parquet").scanner(filter=ds.field(column) == name).head(1).to_pylist()
    return found[0] if found else None


def _spoken(row: Row, name: str) -> InShard:
    if row["shard"] is None:
        raise InserterError(f"{name} has no clip: {row.get('error') or 'the item is only read'}")
    return {"shard": row["shard"], "offset": row["offset"], "size": row["size"]}


def _before(row: Row, name: str) -> InShard:
    _spoken(row, name)
    if "original_shard" not in row:
        raise InserterError(f"the benchmark keeps no original of {name}", "Leave out --original")
    if row["original_shard"] is None:
        raise InserterError(
            f"the original of {name} was not kept", "Set synthesize.keep_originals to true, then run `inserter run`"
        )
    return {"shard": row["original_shard"], "offset": row["original_offset"], "size": row["original_size"]}
