"""Read and write what needs pyarrow: records in Parquet, and zstd.

pyarrow is an extra (`parquet`), so `recordfiles` imports this module when a file needs it.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from inserter.scoring.recordfiles import NOT_UTF8

ROWS = 256  # rows of a Parquet file at a time


def zstd_reader(path: Path) -> BinaryIO:
    return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))


def zstd_writer(file: BinaryIO) -> pa.CompressedOutputStream:
    return pa.CompressedOutputStream(pa.PythonFile(file), "zstd")


def write_parquet(path: Path, records: Sequence[Mapping[str, object]]) -> None:
    pq.write_table(_table(records), path, compression="zstd")


def read_parquet(path: Path) -> Iterator[tuple[int, object]]:
    """Yield each row as a record, with its number from 1."""
    with pq.ParquetFile(path) as parquet:
        columns = [name for column in parquet.schema_arrow for name in _readable(column)]
        number = 0
        for batch in parquet.iter_batches(batch_size=ROWS, columns=columns):
            for row in rows_of(batch):
                number += 1
                yield number, _plain(row)


def rows_of(batch: pa.RecordBatch) -> list[dict[str, object] | str]:
    """Return the rows as dicts, with NOT_UTF8 in place of a row whose text is not UTF-8.

    Parquet does not check the encoding.
    """
    try:
        return batch.to_pylist(maps_as_pydicts="lossy")
    except UnicodeDecodeError:
        return [NOT_UTF8] if len(batch) == 1 else [row for at in range(len(batch)) for row in rows_of(batch.slice(at, 1))]


def _readable(column: pa.Field) -> list[str]:
    """Return the names of a column, or of the parts of a struct, that hold no bytes.

    The index that pandas adds is left out.
    """
    if column.name.startswith("__index_level_"):
        return []
    parts = [(f"{column.name}.{part.name}", part.type) for part in column.type] if pa.types.is_struct(column.type) else []
    return [name for name, kind in parts or [(column.name, column.type)] if not _bytes(kind)]


def _bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def _plain(found: object) -> object:
    """Return what JSON can hold: dates, times and decimals as text, and None for bytes."""
    if isinstance(found, dict):
        return {name: _plain(part) for name, part in found.items()}
    if isinstance(found, list):
        return [_plain(part) for part in found]
    if isinstance(found, bytes):
        return None
    return str(found) if isinstance(found, date | time | timedelta | Decimal) else found


def _table(records: Sequence[Mapping[str, object]]) -> pa.Table:
    names = sorted({name for record in records for name in record})
    return pa.table({name: _column([record.get(name) for record in records]) for name in names})


def _column(values: Sequence[object]) -> pa.Array:
    """Return a column, with objects, and values of several kinds, as JSON text.

    Parquet has one schema for all rows and would add keys to every object.
    """
    if not any(_has_object(one) for one in values):
        try:
            return pa.array(values)
        except pa.ArrowException:
            pass
    return pa.array([_as_text(one) for one in values], pa.string())


def _as_text(found: object) -> str | None:
    return found if found is None or isinstance(found, str) else json.dumps(found, ensure_ascii=False, sort_keys=True)


def _has_object(found: object) -> bool:
    return isinstance(found, dict) or (isinstance(found, list) and any(map(_has_object, found)))
