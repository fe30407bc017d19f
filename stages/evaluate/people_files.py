"""Read transcripts line by line, and Parquet files that hold the audio too."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from inserter.scoring import recordfiles
from inserter.scoring.recordfiles import Refused

# Names of columns; the first one that is there counts.
AUDIO = ("audio", "audio_path", "audio_filepath", "file_name", "filename", "path", "file", "wav")
TEXT = ("transcript", "transcription", "sentence", "normalized_text", "text", "raw_transcription")
_SPHINX = re.compile(r"(?P<text>.*)\((?P<name>[^()\s]+)\)\s*")


@dataclass(frozen=True)
class Embedded:
    """A clip whose bytes are in a Parquet file."""

    file: Path
    column: str
    row: int
    """From 0, in the whole file."""

    def read(self) -> bytes:
        """Return the bytes. Raises Refused if the row has none."""
        ends = list(accumulate(_group_sizes(self.file)))
        group = next(number for number, end in enumerate(ends) if self.row < end)
        start = ends[group - 1] if group else 0
        data = _group(self.file, self.column, group)[self.row - start].as_py()
        if not data:
            raise Refused("missing audio", f"row {self.row + 1} of {self.file.name} has no bytes")
        return data


def split_line(line: str) -> tuple[str, str]:
    """Split a line `NAME TEXT` into (audio's name, text), at a blank, a tab or a bar."""
    name, _, text = re.sub(r"[\s|]+", " ", line.strip(), count=1).partition(" ")
    return name, text


def librispeech(file: Path) -> Iterator[tuple[str, str]]:
    """Yield (audio's name, text) of each line that is not blank."""
    for line in file.read_text(encoding="utf-8-sig").splitlines():
        if line.strip():
            yield split_line(line)


def sphinx(file: Path) -> Iterator[tuple[str, str]]:
    """Yield (audio's name, text) of lines `<s> TEXT </s> (NAME)`.

    A name in `fileids` without a line gets an empty text.
    """
    ids = file.with_name(file.name.replace("transcription", "fileids"))
    names = ids.read_text(encoding="utf-8-sig").split() if ids.is_file() else []
    paths = {name.rpartition("/")[2]: name for name in names}
    for line in file.read_text(encoding="utf-8-sig").splitlines():
        if match := _SPHINX.fullmatch(line):
            yield paths.pop(match["name"], match["name"]), match["text"]
    yield from ((path, "") for path in paths.values())


def headless(file: Path) -> bool:
    """Return whether the first line of a CSV or TSV file is a record, not a header.

    A record has no cell that is a known name.
    """
    if file.suffix.lower() not in (".csv", ".tsv"):
        return False
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        cells = re.split(r"[,;\t|]", lines.readline().strip().lower())
    return not {*AUDIO, *TEXT} & {cell.strip('" ') for cell in cells}


def plain_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (number from 1, cells) of each row of a table without a header.

    LJSpeech separates cells by a bar, FLEURS by a tab; neither uses quotes.
    """
    with file.open(encoding="utf-8-sig", newline="") as lines:
        first = lines.readline()
        lines.seek(0)
        separator = max("\t|,;", key=first.count)
        quoted = separator in ",;"
        rows = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
        yield from enumerate(filter(None, rows), 1)


def value_of(raw: object) -> object:
    """Return the record, or a text that says why it cannot be read."""
    try:
        return recordfiles.value(raw)
    except ValueError as error:
        return f"not JSON: {error}"


def sound_column(file: Path) -> str | None:
    """Return the column of a Parquet file that has the bytes of audio, or None.

    The column is `audio.bytes`, as `datasets` writes it, or `audio`.
    """
    if file.suffix.lower() != ".parquet":
        return None
    schema = pq.read_schema(file)
    for column in schema:
        if column.name.lower() in AUDIO:
            parts = [column] if not pa.types.is_struct(column.type) else list(column.type)
            for part in parts:
                if pa.types.is_binary(part.type) or pa.types.is_large_binary(part.type):
                    return column.name if part is column else f"{column.name}.{part.name}"
    return None


@lru_cache(maxsize=8)
def _group_sizes(file: Path) -> list[int]:
    about = pq.read_metadata(file)
    return [about.row_group(number).num_rows for number in range(about.num_row_groups)]


@lru_cache(maxsize=1)
def _group(file: Path, column: str, number: int) -> pa.Array:
    """Return one row group's bytes: the part of the file that is in memory at a time."""
    with pq.ParquetFile(file) as parquet:
        found = parquet.read_row_group(number, columns=[column]).column(0).combine_chunks()
    return found.field(0) if pa.types.is_struct(found.type) else found
