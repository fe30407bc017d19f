"""The files of a local copy of SpeechInstructBench: jsonl and Parquet, read record by record, and the audio they name.

Of Parquet everything but the audio is read here; a clip's bytes are read where its shard is made (clips.py).
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inserter.errors import InserterError
from inserter.scoring import recordfiles
from inserter.scoring.recordfiles import Refused

ROWS = 64  # records of a Parquet file at a time


@dataclass(frozen=True)
class Embedded:
    """A clip inside a Parquet file. row: within the row group, from 0."""

    file: Path
    column: str
    group: int
    row: int


@dataclass(frozen=True)
class Raw:
    """One record as it stands in its file: number counts from 1; value is Refused when the record cannot be read at all."""

    number: int
    value: dict[str, Any] | Refused
    embedded: Embedded | None = None


def raw_records(file: Path) -> Iterator[Raw]:
    """All records of a JSON Lines or Parquet file. A file that cannot be opened counts as one record."""
    return _parquet(file) if file.suffix == ".parquet" else _json(file)


def count(file: Path) -> int:
    """Records of `file`, without reading them; of an unreadable Parquet file 0."""
    try:
        return pq.read_metadata(file).num_rows if file.suffix == ".parquet" else sum(1 for _ in recordfiles.raw_records(file))
    except (pa.ArrowException, OSError, InserterError):
        return 0


def _json(file: Path) -> Iterator[Raw]:
    try:
        for number, raw in recordfiles.raw_records(file):
            try:
                found = recordfiles.value(raw)
                json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is JSON, but no text that can be written
            except (ValueError, RecursionError) as error:
                yield Raw(number, Refused("not JSON", str(error)))
                continue
            yield Raw(number, found if isinstance(found, dict) else Refused("not JSON", "the line is not an object"))
    except InserterError as error:  # the file itself: damaged, or without a record
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
                    for found in recordfiles.rows_of(batch):
                        row = found if isinstance(found, dict) else Refused("unreadable Parquet", found)
                        yield Raw(first + done, row, Embedded(file, sound, group, done) if sound else None)
                        done += 1
            except (pa.ArrowException, OSError) as error:
                bad = Refused("unreadable Parquet", why(error))
                yield from (Raw(first + row, bad) for row in range(done, size))
            first += size


def why(error: Exception) -> str:
    """What pyarrow says; of the system's own errors without the path, which is another one wherever the folder lies."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


def _columns(schema: pa.Schema) -> tuple[list[str], str | None]:
    """(what is read of a record, the column of its audio's bytes). `audio`: a struct with `bytes`, bytes, or a path."""
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
    """Finds the audio of a record: at its path from the root, beside its file, or anywhere below the root by name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in sorted(self.root.rglob("*.wav")):
            found.setdefault(path.name, []).append(path)
        return found

    def find(self, audio: str | None, beside: Path) -> Path:
        """The file, inside the root. Raises Refused when it is not there, or when several may be meant.

        Links are followed: the hub's cache is made of links to files elsewhere.
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
        """Of the files of this name, the one that shares most of the path's end, then one below `beside`."""
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
    except (OSError, ValueError):  # a name that is too long, or has a null byte in it
        return False


def _common_end(path: Path, name: PurePosixPath) -> int:
    """How many parts, from the last, are the same."""
    pairs = list(zip(reversed(path.parts), reversed(name.parts), strict=False))
    return next((n for n, (one, other) in enumerate(pairs) if one != other), len(pairs))
