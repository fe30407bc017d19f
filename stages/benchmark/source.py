"""Read the files of a local copy of SpeechInstructBench record by record, and find their audio.

The files are JSON Lines or Parquet. This module reads all of a Parquet file except the audio.
`clips.py` reads a clip's bytes when it makes the clip's shard.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from inserter.errors import InserterError
from inserter.scoring import recordfiles
from inserter.scoring.arrowfiles import rows_of
from inserter.scoring.recordfiles import Refused

ROWS = 64  # records read per batch of a Parquet file


@dataclass(frozen=True)
class Embedded:
    """A clip inside a Parquet file."""

    file: Path

    column: str
    """Column of the audio's bytes."""

    group: int
    """Row group, from 0."""

    row: int
    """Row within the row group, from 0."""


@dataclass(frozen=True)
class Raw:
    """One record as its file has it."""

    number: int
    """Number of the record in its file, from 1."""

    value: dict[str, object] | Refused
    """The record; Refused if it cannot be read at all."""

    embedded: Embedded | None = None
    """Place of the clip, if the record is a row of a Parquet file with audio."""


def raw_records(file: Path) -> Iterator[Raw]:
    """Return all records of a JSON Lines or Parquet file.

    A file that cannot be opened counts as one refused record.
    """
    return _parquet(file) if file.suffix == ".parquet" else _json(file)


def count(file: Path) -> int:
    """Return the number of records of `file` without parsing them; 0 for an unreadable file."""
    try:
        return pq.read_metadata(file).num_rows if file.suffix == ".parquet" else sum(1 for _ in recordfiles.raw_records(file))
    except (pa.ArrowException, OSError, InserterError):
        return 0


def _json(file: Path) -> Iterator[Raw]:
    try:
        for number, raw in recordfiles.raw_records(file):
            try:
                found = recordfiles.value(raw)
                # Half a surrogate pair is valid JSON, but cannot be written as text.
                json.dumps(found, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:
                yield Raw(number, Refused("not JSON", str(error)))
                continue
            yield Raw(number, found if isinstance(found, dict) else Refused("not JSON", "the line is not a JSON object"))
    except InserterError as error:  # the file itself is damaged or has no record
        yield Raw(1, Refused("unreadable file", str(error)))


def _parquet(file: Path) -> Iterator[Raw]:
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        yield Raw(1, Refused("unreadable Parquet", why(error)))
        return
    with parquet:
        columns, sound = _columns(parquet.schema_arrow)
        first = 1
        for group in range(parquet.num_row_groups):
            size = parquet.metadata.row_group(group).num_rows
            done = 0
            try:
                for batch in parquet.iter_batches(batch_size=ROWS, row_groups=[group], columns=columns):
                    for found in rows_of(batch):
                        row = found if isinstance(found, dict) else Refused("unreadable Parquet", found)
                        yield Raw(first + done, row, Embedded(file, sound, group, done) if sound else None)
                        done += 1
            except (pa.ArrowException, OSError) as error:
                bad = Refused("unreadable Parquet", why(error))
                yield from (Raw(first + row, bad) for row in range(done, size))
            first += size


def why(error: Exception) -> str:
    """Return the error's message; for errors of the operating system without the path.

    The path depends on where the folder is, and the reason must not.
    """
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


def _columns(schema: pa.Schema) -> tuple[list[str], str | None]:
    """Return the columns to read of a record, and the column of its audio's bytes, or None.

    The column `audio` may be a struct with `bytes`, bytes, or a path.
    """
    columns: list[str] = []
    sound = None
    for column in schema:
        for name, kind in _leaves(column):
            if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
                columns.append(name)
            elif name.split(".")[0] == "audio":
                sound = name
    return columns, sound


def _leaves(column: pa.Field) -> list[tuple[str, pa.DataType]]:
    if not pa.types.is_struct(column.type):
        return [(column.name, column.type)]
    return [(f"{column.name}.{child.name}", child.type) for child in column.type]


class Wavs:
    """Finds the audio file of a record.

    The file may be at its path from the root, beside the record's file, or anywhere below the root
    under its name.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in sorted(self.root.rglob("*.wav")):
            found.setdefault(path.name, []).append(path)
        return found

    def find(self, audio: str | None, beside: Path) -> Path:
        """Return the audio file, which is inside the root.

        Links are followed, because the hub's cache consists of links to files elsewhere.
        Raises Refused if the file is missing, or if several files may be meant.
        """
        if audio is None:
            raise Refused("missing wav", "the record names no audio")
        name = PurePosixPath(audio.replace("\\", "/"))
        if not name.is_absolute() and ".." not in name.parts:
            for folder in (self.root, beside):
                if _is_file(folder / name):
                    return folder / name
        return self._by_name(name, beside)

    def _by_name(self, name: PurePosixPath, beside: Path) -> Path:
        """Return the file of this name whose path agrees most with `name`, from the end.

        Among equals, a file below `beside` wins. Raises Refused if no file or several are left.
        """
        paths = self.by_name.get(name.name, [])
        if not paths:
            raise Refused("missing wav", str(name))
        scores = [(_common_end(path, name), path.is_relative_to(beside)) for path in paths]
        best = [path for path, score in zip(paths, scores, strict=True) if score == max(scores)]
        if len(best) > 1:
            raise Refused("ambiguous wav", f"{name}: {len(best)} files have this name")
        return best[0]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # the name is too long or has a null byte
        return False


def _common_end(path: Path, name: PurePosixPath) -> int:
    """Return how many parts of the two paths agree, counted from the last part."""
    pairs = list(zip(reversed(path.parts), reversed(name.parts), strict=False))
    return next((n for n, (one, other) in enumerate(pairs) if one != other), len(pairs))
