"""Join the documents with their spans and clean clips.

The three tables are in the same order, so one document at a time is in memory.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from inserter.errors import InserterError
from inserter.files import read_batches
from inserter.paths import DATA
from inserter.tables import DOCUMENTS, SPANS, UNSEEN, VERIFIED, Document, Span, Table, Verified

Mine = TypeVar("Mine", Span, Verified)


class Entry(NamedTuple):
    """A document with its spans and clean clips."""

    document: Document

    spans: list[Span]
    """The spans whose clip is clean, in order."""

    clean: frozenset[str]
    """The utt_ids of the document's clean clips."""

    n_spans: int
    """Number of the document's spans, clean or not."""

    def unseen(self, span: Span) -> str | None:
        """Return the utt_id of the clean clip of `span` in an unseen voice, or None."""
        utt_id = span["utt_id"] + UNSEEN
        return utt_id if utt_id in self.clean else None


def entries(data: Path = DATA) -> Iterator[Entry]:
    """Yield every document of the corpus. Raises InserterError if the tables are not of one run."""
    spans = _Groups(data / "segment" / "spans.parquet", SPANS)
    clips = _Groups(data / "verify" / "clean.parquet", VERIFIED)
    for batch in read_batches(data / "corpus", DOCUMENTS):
        for document in batch:
            mine = spans.take(document["doc_id"])
            clean = frozenset(row["utt_id"] for row in clips.take(document["doc_id"]))
            kept = sorted((row for row in mine if row["utt_id"] in clean), key=lambda row: row["start"])
            yield Entry(document, kept, clean, len(mine))
    for groups in (spans, clips):
        groups.must_be_empty()


class _Groups(Generic[Mine]):
    """The rows of a table by doc_id, to be taken in the table's order."""

    def __init__(self, path: Path, table: Table[Mine]) -> None:
        self.path = path
        rows: Iterable[Mine] = (row for batch in read_batches(path, table) for row in batch)
        self.groups: Iterator[tuple[str, Iterator[Mine]]] = groupby(rows, key=lambda row: row["doc_id"])
        self.next: tuple[str, list[Mine]] | None = self._advance()

    def _advance(self) -> tuple[str, list[Mine]] | None:
        return next(((doc_id, list(rows)) for doc_id, rows in self.groups), None)

    def take(self, doc_id: str) -> list[Mine]:
        """Return the rows of `doc_id` if they are next; otherwise the document has none."""
        if self.next is None or self.next[0] != doc_id:
            return []
        rows, self.next = self.next[1], self._advance()
        return rows

    def must_be_empty(self) -> None:
        if self.next is not None:
            raise InserterError(
                f"{self.path} has rows of {self.next[0]}, which data/corpus lacks or has in another order",
                "Run `dvc repro`: the tables are from different runs",
            )
