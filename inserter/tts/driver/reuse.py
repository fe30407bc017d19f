"""Find the speech of earlier runs by its content, so that it is not spoken again."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from inserter.files import read_json, sha256
from inserter.tables import ShardRecord
from inserter.tts.driver.jobs import Place, absolute

COLUMNS = ["content", "original_shard", "original_offset", "original_size"]


class Earlier:
    """An index on disk over the originals in `folders`, work folders of this driver.

    Each folder has `out/` and `rows/`. Where several folders have the same speech, the first of
    them counts. A million utterances take 32 MB on disk and 10 MB in memory. Shards whose SHA-256
    differs from what was written are left out.
    """

    def __init__(self, folders: Sequence[Path], index: Path) -> None:
        index.parent.mkdir(parents=True, exist_ok=True)
        index.unlink(missing_ok=True)
        self.base = sqlite3.connect(index)
        self.base.execute("PRAGMA synchronous = OFF")
        self.base.execute("PRAGMA journal_mode = OFF")
        self.base.execute("CREATE TABLE shards (id INTEGER PRIMARY KEY, path TEXT, sha256 TEXT)")
        columns = "content BLOB PRIMARY KEY, shard INTEGER, offset INTEGER, size INTEGER"
        self.base.execute(f"CREATE TABLE speech ({columns}) WITHOUT ROWID")
        for done in (done for folder in folders for done in sorted((folder / "out").glob("shard-*.json"))):
            self._add(done)
        self.base.commit()

    def _add(self, done: Path) -> None:
        record: ShardRecord = read_json(done)
        table = done.parent.parent / "rows" / f"{done.stem}.parquet"
        if not (table.exists() and sized(done.parent, record)):
            return
        numbers: dict[str, int | None] = {}
        for tar in record["tars"]:
            path = absolute(done.parent / tar["shard"])
            numbers[tar["shard"]] = self.base.execute(
                "INSERT INTO shards (path, sha256) VALUES (?, ?)", (path, tar["sha256"])
            ).lastrowid
        places = ((bytes.fromhex(c), numbers[tar], offset, size) for c, tar, offset, size in _rows(table) if tar)
        self.base.executemany("INSERT OR IGNORE INTO speech VALUES (?, ?, ?, ?)", places)

    def find(self, contents: Iterable[str]) -> dict[str, Place]:
        """Return the places of the speech of those `contents` that have speech in the index."""
        found: dict[str, Place] = {}
        for content in contents:
            query = "SELECT path, sha256, offset, size FROM speech JOIN shards ON shard = id WHERE content = ?"
            row = self.base.execute(query, (bytes.fromhex(content),)).fetchone()
            if row and _whole(row[0], row[1]):
                found[content] = Place(row[0], row[2], row[3])
        return found


def sized(out: Path, record: ShardRecord) -> bool:
    """Return whether the tars of a shard in the folder `out` have their recorded sizes."""
    tars = [(out / tar["shard"], tar["size"]) for tar in record["tars"]]
    return all(path.exists() and path.stat().st_size == size for path, size in tars)


def _rows(table: Path) -> Iterator[tuple[str, str | None, int, int]]:
    columns = pq.read_table(table, columns=COLUMNS).to_pydict()
    yield from zip(*(columns[name] for name in COLUMNS), strict=True)


@lru_cache(maxsize=4096)
def _whole(path: str, digest: str) -> bool:
    return sha256(path) == digest
