"""Read files of plain text, JSON Lines and Parquet as raw documents.

What cannot be read becomes a document with the reason.
"""

import codecs
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from inserter.errors import InserterError
from inserter.params import Source
from inserter.sources import text_form

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
TEXT_BYTES = 1 << 20  # a text file is read in pieces of about this size, which end at an empty line
MOST_BYTES = 4 << 20  # a piece without an empty line in this many bytes ends after a sentence
# A longer line is refused. A compressed file of a few kB could otherwise fill the memory.
LINE_BYTES = 64 << 20
SENTENCE_ENDS = tuple(f"{stop}{after}".encode() for stop in ".!?" for after in " \n") + tuple(map(str.encode, "。！？"))
TELL_AFTER = 10_000  # if none of this many records has the column, its name is wrong
SHOWN = 20  # number of columns that the error names


@dataclass(frozen=True)
class RawDocument:
    """A document as its source has it."""

    name: str
    """Place of the document in its source."""

    text: str = ""

    error: str | None = None
    """Why the document could not be read; its text is then empty."""


Reader = Callable[[str, Path, "Records"], Iterator[RawDocument]]


class Records:
    """The records of a source.

    A record without the column of the text is refused alone, unless no record has that column.
    found: whether some record of the source is known to have the column.
    """

    def __init__(self, source: Source, found: bool = False) -> None:
        self.source, self.found = source, found
        self.without = 0
        self.columns: dict[str, None] = {}

    def document(self, name: str, row: object) -> RawDocument:
        if not isinstance(row, dict):
            return RawDocument(name, error="undecodable: not a JSON object")
        self.saw(row)
        text = row.get(self.source.text_column)
        if not isinstance(text, str):
            return RawDocument(name, error="no text in its column")
        try:
            text.encode()
        except UnicodeEncodeError as error:  # half a surrogate pair: valid JSON, but not writable
            return RawDocument(name, error=f"undecodable: {error}")
        return RawDocument(name, text)

    def saw(self, columns: Iterable[str]) -> None:
        """Note the columns of a record or a table.

        Raises InserterError at record TELL_AFTER if no record has had the column of the text.
        """
        if self.found:
            return
        names = list(columns)
        self.found = self.source.text_column in names
        self.without += 1
        if len(self.columns) < SHOWN:
            self.columns |= dict.fromkeys(map(str, names))
        if self.without == TELL_AFTER:
            self.end()

    def end(self) -> None:
        """Raise InserterError if there were records and none had the column of the text."""
        if self.without and not self.found:
            raise InserterError(
                f"source {self.source.name}: no record has a column {self.source.text_column!r}",
                f"Set text_column to one of {', '.join(sorted(self.columns)[:SHOWN])}",
            )


def documents(name: str, path: Path, records: Records) -> Iterator[RawDocument]:
    """Yield the documents of a file in order; `name` is the file's place in its source."""
    readers: dict[str, Reader] = {".txt": _text, ".jsonl": _jsonl, ".parquet": _parquet}
    yield from readers[text_form(os.fsencode(path.name))](name, path, records)


def _open(path: Path) -> IO[bytes]:
    """Open the file for reading, decompressed as its name says."""
    compression = COMPRESSIONS.get(path.suffix.lower())
    file = path.open("rb")
    return io.BufferedReader(pa.input_stream(file, compression), TEXT_BYTES) if compression else file


def _lines(path: Path, limit: int = -1) -> Iterator[bytes]:
    """Yield lines, or parts of lines of at most `limit` bytes, in UTF-8.

    A file with the byte order mark of UTF-16 or UTF-32 is decoded; `limit` then counts characters.
    """
    with _open(path) as stream:
        start = stream.peek(4)  # type: ignore[attr-defined]
        wide = start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and "utf-32"
        wide = wide or (start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "utf-16")
        if wide:
            with io.TextIOWrapper(stream, wide, newline="\n") as text:
                while part := text.readline(limit):
                    yield part.encode()
        while not wide and (line := stream.readline(limit)):
            yield line


def _reason(error: Exception, path: Path, name: str) -> str:
    """Return the reason without the path of the file, so that it is the same elsewhere."""
    if isinstance(error, OSError) and error.strerror:
        return f"unreadable: {error.strerror}"
    return f"undecodable: {' '.join(str(error).replace(str(path), name).split())}"


# Errors of a file that is missing, cut short, or not what its name says.
BROKEN = (OSError, ValueError, pa.ArrowException)


def _text(name: str, path: Path, records: Records) -> Iterator[RawDocument]:
    """Yield one document per file; of a large file several."""
    number = 0
    try:
        for number, piece in enumerate(_pieces(_lines(path, TEXT_BYTES)), 1):
            yield _decoded(name if number == 1 else f"{name}#{number}", piece)
    except BROKEN as error:
        yield RawDocument(name if number == 0 else f"{name}#{number + 1}", error=_reason(error, path, name))


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    held, size, number = [], 0, 0
    for line in lines:
        held.append(line)
        size += len(line)
        if (size >= TEXT_BYTES and not line.strip()) or size >= MOST_BYTES:
            piece = b"".join(held)
            end = _end(piece) if size >= MOST_BYTES else size
            yield piece[:end]
            held, size, number = [piece[end:]], size - end, number + 1
    if size or not number:
        yield b"".join(held)


def _end(piece: bytes) -> int:
    """Return where to cut a piece without an empty line.

    The cut is after the last sentence, else after the last blank, else between two characters.
    """
    end = max(piece.rfind(stop) + len(stop) for stop in SENTENCE_ENDS)
    if end < TEXT_BYTES:
        end = piece.rfind(b" ") + 1
    if end < TEXT_BYTES:
        end = next(place for place in range(len(piece) - 4, 0, -1) if piece[place] & 0xC0 != 0x80)
    return end


def _decoded(name: str, data: bytes) -> RawDocument:
    try:
        return RawDocument(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return RawDocument(name, error=f"undecodable: {error}")


def _jsonl(name: str, path: Path, records: Records) -> Iterator[RawDocument]:
    number = 0
    try:
        for number, line in enumerate(_whole(_lines(path, LINE_BYTES)), 1):
            if line is None:
                yield RawDocument(f"{name}:{number}", error=f"undecodable: a line of more than {LINE_BYTES:,} bytes")
            elif line.strip():
                yield _parsed(f"{name}:{number}", line, records)
    except BROKEN as error:  # a compressed file is cut short: keep the records before that
        yield RawDocument(f"{name}:{number + 1}", error=_reason(error, path, name))


def _whole(parts: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield the lines that are one part, and None for each line of several parts."""
    within = False
    for part in parts:
        cut = len(part) >= LINE_BYTES and not part.endswith(b"\n")
        if not within:
            yield None if cut else part
        within = cut


def _parsed(name: str, line: bytes, records: Records) -> RawDocument:
    try:
        row = json.loads(line)
    # JSONDecodeError and UnicodeDecodeError are ValueErrors.
    except (ValueError, RecursionError) as error:
        return RawDocument(name, error=f"undecodable: {error}")
    return records.document(name, row)


def _parquet(name: str, path: Path, records: Records) -> Iterator[RawDocument]:
    column, number = records.source.text_column, 0
    try:
        with pq.ParquetFile(path) as table:
            columns, count = table.schema_arrow.names, table.metadata.num_rows
            records.saw(columns)
            if column not in columns:
                yield from (RawDocument(f"{name}:{row}", error="no text in its column") for row in range(1, count + 1))
                return
            for batch in table.iter_batches(batch_size=256, columns=[column]):
                for value in batch.column(column):
                    number += 1
                    yield _valued(f"{name}:{number}", value, records)
    except BROKEN as error:
        yield RawDocument(f"{name}:{number + 1}" if number else name, error=_reason(error, path, name))


def _valued(name: str, value: pa.Scalar, records: Records) -> RawDocument:
    try:
        return records.document(name, {records.source.text_column: value.as_py()})
    except UnicodeDecodeError as error:
        return RawDocument(name, error=f"undecodable: {error}")
