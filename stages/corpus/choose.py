"""Which documents make the corpus: by draw, in the sources' shares; and which of them are held out."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stages.common.files import write_batches
from stages.common.params import Corpus
from stages.corpus.counts import NO_BOUND

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH = 2_048
CHOSEN = pa.schema([("position", pa.int64()), ("seq", pa.int64())])
# Of one source, in the order of the sample: those of the raw documents that are held out, or those of the others.
USABLE = """SELECT seq, n_words FROM unique_texts ANTI JOIN near USING (draw)
            WHERE reason IS NULL AND source = ? AND (origin_draw < ?) = ? ORDER BY draw"""


@dataclass(frozen=True)
class Choice:
    """words: by source. exhausted: the sources of which every usable document was taken. thin: those of which there are fewer
    documents to hold out than were wanted."""

    documents: int
    words: list[int]
    exhausted: list[bool]
    thin: list[bool]


def rows(db: "DuckDBPyConnection", query: str, *values: Any) -> Iterator[tuple]:
    """The rows of a query, streamed through a cursor of its own."""
    for batch in db.cursor().sql(query, params=values).to_arrow_reader(BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def choose(db: "DuckDBPyConnection", params: Corpus, path: Path) -> Choice:
    """Documents to hold out, then others until there are enough words. Writes `path` (CHOSEN) and makes it the view `chosen`;
    table `heldout` (seq).

    What is held out comes from raw documents of which nothing is trained on, a share of them by a draw of their own: so it is the
    same however many words are wanted. Where these are too few, the best draws of the others are held out too.
    """
    apart, others = _Drawn(db, params, apart=True), _Drawn(db, params, apart=False)
    held = list(islice(apart, params.heldout_documents))
    held += islice(others, params.heldout_documents - len(held))
    db.execute("CREATE TABLE heldout (seq BIGINT)")
    if held:
        db.executemany("INSERT INTO heldout VALUES (?)", [(seq,) for seq in held])
    documents = 0

    def taken() -> Iterator[int]:
        yield from held
        while sum(apart.words) + sum(others.words) < params.words and any(others.heads):
            yield next(others)

    def placed() -> Iterator[dict[str, int]]:
        nonlocal documents
        for seq in taken():
            yield {"position": documents, "seq": seq}
            documents += 1

    write_batches(path, _batches(placed()), CHOSEN)
    db.execute(f"CREATE VIEW chosen AS SELECT * FROM read_parquet('{path}')")
    words = [one + other for one, other in zip(apart.words, others.words, strict=True)]
    return Choice(documents, words, [head is None for head in others.heads], [head is None for head in apart.heads])


class _Drawn:
    """Usable documents, best draw first, the next one always of the source that is furthest behind its share of the words so far.

    A source that runs out leaves its share to the others.
    """

    def __init__(self, db: "DuckDBPyConnection", params: Corpus, apart: bool) -> None:
        self.weights = [source.weight for source in params.sources]
        limit = int(params.heldout_share * NO_BOUND)
        self.queues = [rows(db, USABLE, number, limit, apart) for number in range(len(params.sources))]
        self.heads = [next(queue, None) for queue in self.queues]
        self.words = [0] * len(self.queues)

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        left = [number for number, head in enumerate(self.heads) if head]
        if not left:
            raise StopIteration
        number = min(left, key=lambda n: self.words[n] / self.weights[n])
        seq, size = self.heads[number] or (0, 0)
        self.heads[number] = next(self.queues[number], None)
        self.words[number] += size
        return seq


def _batches(found: Iterator[dict[str, int]]) -> Iterator[list[dict[str, int]]]:
    batch: list[dict[str, int]] = []
    for row in found:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch
