"""Write the chosen documents in shards, and count them by source and split."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.files import write_batches
from inserter.params import Corpus
from inserter.tables import DOCUMENTS, Document
from stages.corpus.choose import rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHARD = 5_000  # documents per Parquet file
BATCH = 1_000  # documents in memory at a time


def write(db: "DuckDBPyConnection", params: Corpus, folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Write documents-NNNNN.parquet to `folder` in the order of the choice and return the counts.

    The counts are {"sources" and "splits": {name: {"documents": n, "words": n}}}.
    """
    counts: dict[str, dict[str, dict[str, int]]] = {
        "sources": {source.name: {"documents": 0, "words": 0} for source in params.sources},
        "splits": {},
    }
    found = rows(
        db,
        """SELECT doc_id, source, language, seq IN (SELECT seq FROM heldout), text, n_words
           FROM everything JOIN chosen USING (seq) ORDER BY position""",
    )
    documents = (_counted(_document(row, params), counts) for row in found)
    number = 0
    while first := list(islice(documents, BATCH)):
        write_batches(folder / f"documents-{number:05d}.parquet", _shard(first, documents), DOCUMENTS)
        number += 1
    return counts


def _shard(first: list[Document], documents: Iterator[Document]) -> Iterator[list[Document]]:
    yield first
    for _ in range(SHARD // BATCH - 1):
        yield list(islice(documents, BATCH))


def _document(row: tuple[str, int, str, bool, str, int], params: Corpus) -> Document:
    doc_id, number, language, heldout, text, n_words = row
    source = params.sources[number]
    return {
        "doc_id": doc_id,
        "source": source.name,
        "license": source.license,
        "weight": source.weight,
        "language": language,
        "split": "heldout" if heldout else "train",
        "text": text,
        "n_words": n_words,
    }


def _counted(row: Document, counts: dict[str, dict[str, dict[str, int]]]) -> Document:
    split = counts["splits"].setdefault(row["split"], {"documents": 0, "words": 0})
    for count in (split, counts["sources"][row["source"]]):
        count["documents"] += 1
        count["words"] += row["n_words"]
    return row
