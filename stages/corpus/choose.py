"""Which documents make the corpus: by draw, in the sources' shares; and which of them are held out."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stages.common.errors import InserterError
from stages.common.files import write_batches
from stages.common.params import Corpus
from stages.common.seeds import derive

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH = 2_048
CHOSEN = pa.schema([("position", pa.int64()), ("seq", pa.int64())])


@dataclass(frozen=True)
class Choice:
    """words: by source. exhausted: the sources of which every usable document was taken."""

    documents: int
    words: list[int]
    exhausted: list[bool]


def rows(db: "DuckDBPyConnection", query: str, *values: Any) -> Iterator[tuple]:
    """The rows of a query, streamed through a cursor of its own."""
    for batch in db.cursor().sql(query, params=values).to_arrow_reader(BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def choose(db: "DuckDBPyConnection", params: Corpus, path: Path) -> Choice:
    """Take from the source that is furthest behind its share, best draw first, until there are enough words.

    A source that runs out leaves its share to the others. Writes `path` (CHOSEN) and makes it the view `chosen`.
    """
    usable = "SELECT seq, n_words FROM unique_texts ANTI JOIN near USING (draw) WHERE reason IS NULL AND source = ? ORDER BY draw"
    queues = [rows(db, usable, number) for number in range(len(params.sources))]
    heads = [next(queue, None) for queue in queues]
    words = [0] * len(queues)
    documents = 0

    def taken() -> Iterator[dict[str, int]]:
        nonlocal documents
        while sum(words) < params.words and any(heads):
            left = [number for number, head in enumerate(heads) if head]
            number = min(left, key=lambda n: words[n] / params.sources[n].weight)
            seq, size = heads[number] or (0, 0)
            heads[number] = next(queues[number], None)
            words[number] += size
            yield {"position": documents, "seq": seq}
            documents += 1

    write_batches(path, _batches(taken()), CHOSEN)
    db.execute(f"CREATE VIEW chosen AS SELECT * FROM read_parquet('{path}')")
    return Choice(documents, words, [head is None for head in heads])


def _batches(found: Iterator[dict[str, int]]) -> Iterator[list[dict[str, int]]]:
    batch: list[dict[str, int]] = []
    for row in found:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def hold_out(db: "DuckDBPyConnection", params: Corpus, documents: int) -> None:
    """Table `heldout` (seq): of whole raw documents where that comes out even, so that both sides share little.

    A raw document that is too large for what is missing is passed over; the rest is filled with single documents.
    """
    wanted = params.heldout_documents
    if wanted >= documents:
        raise InserterError(
            f"{documents} documents are not enough to hold {wanted} out",
            "Raise corpus.words, add sources, or lower corpus.heldout_documents",
        )
    origins = """SELECT origin, count(*) FROM everything SEMI JOIN chosen USING (seq)
                 GROUP BY origin, origin_draw ORDER BY origin_draw, origin"""
    whole, missing = [], wanted
    for origin, count in rows(db, origins):
        if count <= missing:
            whole.append((origin,))
            missing -= count
        if not missing:
            break
    db.execute("CREATE TABLE whole (origin VARCHAR)")
    if whole:
        db.executemany("INSERT INTO whole VALUES (?)", whole)
    db.execute("CREATE TABLE heldout AS SELECT seq FROM everything SEMI JOIN chosen USING (seq) SEMI JOIN whole USING (origin)")
    if missing:
        others = rows(db, "SELECT doc_id, seq FROM everything SEMI JOIN chosen USING (seq) ANTI JOIN heldout USING (seq)")
        best = heapq.nsmallest(missing, others, key=lambda row: (derive(params.seed, "heldout", row[0]), row[0]))
        db.executemany("INSERT INTO heldout VALUES (?)", [(seq,) for _, seq in best])
