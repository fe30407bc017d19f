"""Documents with their spans and clean clips, read side by side: the three tables are in the same order, so one document at a
time is in memory."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from inserter.errors import InserterError
from inserter.files import read_batches
from inserter.paths import DATA
from inserter.tables import DOCUMENTS, SPANS, UNSEEN, VERIFIED

Row = dict[str, Any]


class Entry(NamedTuple):
    """A document. spans: those whose clip is clean, in order; clean: the utt_ids of its clean clips; n_spans: clean or not."""

    document: Row
    spans: list[Row]
    clean: frozenset[str]
    n_spans: int

    def unseen(self, span: Row) -> str | None:
        """The clip of `span` in an unseen voice, or None."""
        utt_id = span["utt_id"] + UNSEEN
        return utt_id if utt_id in self.clean else None


def entries(data: Path = DATA) -> Iterator[Entry]:
    """Every document of the corpus. Raises InserterError when the tables are not of one run."""
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


class _Groups:
    """The rows of a table by doc_id, taken in the table's order."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        rows: Iterable[Row] = (row for batch in read_batches(path, schema) for row in batch)
        self.groups = groupby(rows, key=lambda row: row["doc_id"])
        self.next = self._advance()

    def _advance(self) -> tuple[str, list[Row]] | None:
        return next(((doc_id, list(rows)) for doc_id, rows in self.groups), None)

    def take(self, doc_id: str) -> list[Row]:
        """The rows of `doc_id` when they are the next; otherwise it has none."""
        if self.next is None or self.next[0] != doc_id:
            return []
        rows, self.next = self.next[1], self._advance()
        return rows

    def must_be_empty(self) -> None:
        if self.next is not None:
            raise InserterError(
                f"{self.path} has rows of {self.next[0]}, which data/corpus has not, or not in this order",
                "The tables are of different runs: run `dvc repro`",
            )
