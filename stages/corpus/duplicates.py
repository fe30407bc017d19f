"""Find exact and near duplicates among the candidates, out of core.

DuckDB sorts and joins within a memory limit, and on disk beyond it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.params import Corpus
from inserter.text.overlap import shingles
from stages.corpus.overlap import jaccard
from stages.corpus.prepare import band_names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "256MB"
# If many texts share a band (boilerplate), compare each with this many of the best draw, not all.
BEST = 32
BATCH = 2_048


def connect(folder: Path, threads: int) -> "DuckDBPyConnection":
    """Return a new database in `folder`.

    The database reads and writes nothing outside the folder, and downloads nothing.
    """
    import duckdb

    path = folder / "candidates.duckdb"
    path.unlink(missing_ok=True)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": threads,
        "temp_directory": str(folder / "spill"),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    return duckdb.connect(str(path), config=settings)


def exact(db: "DuckDBPyConnection", parts: Path, bounds: list[int]) -> None:
    """Create the view `candidates` and the table `unique_texts`.

    `candidates` has the documents whose draw is below the bound of their source. `unique_texts` has
    the first candidate of each text in reading order.
    """
    db.execute(f"CREATE VIEW everything AS SELECT * FROM read_parquet('{parts}/*.parquet')")
    db.execute("CREATE TABLE bounds (source BIGINT, bound BIGINT)")
    db.executemany("INSERT INTO bounds VALUES (?, ?)", list(enumerate(bounds)))
    db.execute("CREATE VIEW candidates AS SELECT everything.* FROM everything JOIN bounds USING (source) WHERE draw < bound")
    db.execute("CREATE TABLE firsts AS SELECT min(seq) AS seq FROM candidates GROUP BY draw")
    columns = "seq, source, draw, own_draw, origin_draw, origin_words, n_words, reason"
    db.execute(f"CREATE TABLE unique_texts AS SELECT {columns} FROM candidates SEMI JOIN firsts USING (seq)")


def near(db: "DuckDBPyConnection", params: Corpus) -> None:
    """Create the table `near` (draw) of texts that nearly duplicate a kept text of a better draw.

    MinHash bands select the pairs to compare. The exact Jaccard similarity of the shingles decides.
    """
    db.execute("CREATE TABLE met (better BIGINT, worse BIGINT)")
    for band in band_names(params):
        db.execute(
            f"""INSERT INTO met
            WITH band AS (SELECT {band} AS hash, draw FROM everything SEMI JOIN
                          (SELECT seq FROM unique_texts WHERE reason IS NULL) USING (seq)),
                 shared AS (SELECT hash FROM band GROUP BY hash HAVING count(*) > 1),
                 placed AS (SELECT hash, draw, row_number() OVER (PARTITION BY hash ORDER BY draw) AS place
                            FROM band SEMI JOIN shared USING (hash))
            SELECT one.draw, other.draw FROM placed AS one JOIN placed AS other
            ON one.hash = other.hash AND one.place < other.place AND one.place <= {BEST}"""
        )
    db.execute("CREATE TABLE same (better BIGINT, worse BIGINT)")
    for pairs in _alike(db, params):
        db.executemany("INSERT INTO same VALUES (?, ?)", pairs)
    _resolve(db)


def _alike(db: "DuckDBPyConnection", params: Corpus) -> Iterator[list[tuple[int, int]]]:
    """Yield, in batches, the pairs that share a band and are similar enough."""
    limit, size = params.near_duplicates.threshold, params.near_duplicates.shingle_words
    query = """
        SELECT better, worse, one.text, other.text FROM (SELECT DISTINCT better, worse FROM met)
        JOIN (SELECT draw, text FROM everything SEMI JOIN unique_texts USING (seq)) AS one ON better = one.draw
        JOIN (SELECT draw, text FROM everything SEMI JOIN unique_texts USING (seq)) AS other ON worse = other.draw"""
    for batch in db.cursor().sql(query).to_arrow_reader(BATCH):
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        alike = [(a, b) for a, b, one, other in rows if jaccard(shingles(one, size), shingles(other, size)) >= limit]
        if alike:
            yield alike


def _resolve(db: "DuckDBPyConnection") -> None:
    """In draw order, drop a text that nearly duplicates one already kept.

    A text that is the worse one of no pair is kept. So its partners are dropped, with all their
    pairs. The remaining pairs are resolved the same way, until none is left.
    """
    db.execute("CREATE TABLE near (draw BIGINT)")
    while True:
        db.execute(
            """CREATE OR REPLACE TEMP TABLE gone AS
               SELECT DISTINCT worse AS draw FROM same WHERE better NOT IN (SELECT worse FROM same)"""
        )
        (count,) = db.execute("SELECT count(*) FROM gone").fetchone() or (0,)
        if not count:
            return
        db.execute("INSERT INTO near SELECT draw FROM gone")
        db.execute("DELETE FROM same WHERE better IN (SELECT draw FROM gone) OR worse IN (SELECT draw FROM gone)")
