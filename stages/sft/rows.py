"""Stream the rows of `sft.sources`, and read the audio that a row names."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inserter.errors import InserterError
from inserter.params import SftSource
from inserter.scoring.arrowfiles import rows_of
from inserter.scoring.recordfiles import Refused, raw_records, value
from inserter.sources import ROW_FORMS, beside, found, hub_rows, located, place, row_form
from models.sound import NoSound, from_numbers, read, resample

ROWS = 16  # rows of a Parquet file at a time; each may hold minutes of sound


class Row(NamedTuple):
    """One row of a source."""

    place: str
    """File and number of the row, from 1."""

    value: object
    """The row, or Refused if it cannot be read at all."""

    table: str | None = None
    """The row's file, where the paths of the row begin; None for a row of the hub."""

    folder: str | None = None
    """The folder of a data set of the hub, which may name no files elsewhere; None: no folder."""


def rows(source: SftSource) -> Iterator[Row]:
    """Yield the rows of `source` in a fixed order, at most `source.limit`.

    Raises InserterError if there is no such source.
    """
    yield from islice(_hub(source) if source.kind == "hub" else _local(source), source.limit)


def files(source: SftSource) -> list[tuple[str, Path]]:
    """Return (place below the root, path) of the files of a local source, sorted by path.

    Raises InserterError if there is none, or one that is not a file of rows.
    """
    root, tables = found(located(source.path), _form)
    if not tables:
        raise InserterError(f"source {source.name}: no rows at {source.path}", f"Give {ROW_FORMS} files, a folder or a glob")
    for file in tables:
        if not _form(file):
            raise InserterError(f"source {source.name}: {file} has no readable format", f"Give {ROW_FORMS} files")
    return [(place(file, root), file) for file in tables]


def _form(file: Path) -> str:
    return row_form(os.fsencode(file.name))


def _local(source: SftSource) -> Iterator[Row]:
    for name, path in files(source):
        reader = _parquet if path.suffix.lower() == ".parquet" else _json
        for number, row in reader(path):
            yield Row(f"{name}:{number}", row, str(path.absolute()))


def _hub(source: SftSource) -> Iterator[Row]:
    folder = Path(source.path).expanduser()
    inside = str(folder.absolute()) if folder.is_dir() else None
    for number, row in hub_rows(source.name, source.path, source.split, decode=False):
        yield Row(str(number), row, folder=inside)


def _json(path: Path) -> Iterator[tuple[int, object]]:
    try:
        for number, raw in raw_records(path):
            try:
                yield number, value(raw)
            except ValueError as error:
                yield number, Refused("not JSON", str(error))
    except InserterError as error:
        yield 1, Refused("unreadable file", str(error).replace(str(path), path.name))


def _parquet(path: Path) -> Iterator[tuple[int, object]]:
    number = 0
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=ROWS):
                for row in rows_of(batch):
                    number += 1
                    yield number, row if isinstance(row, dict) else Refused("unreadable file", row)
    except (pa.ArrowException, OSError) as error:
        yield number + 1, Refused("unreadable file", " ".join(str(error).replace(str(path), path.name).split()))


def wave_of(audio: object, row: Row) -> np.ndarray:
    """Return float32 (samples,) at 16 kHz of an audio of `row`. Raises Refused."""
    try:
        if isinstance(audio, dict):
            if isinstance(audio.get("bytes"), bytes):
                return wave_of(audio["bytes"], row)
            if audio.get("array") is not None:
                return _sampled(audio["array"], audio.get("sampling_rate"))
            path = audio.get("path")
            return wave_of(None if isinstance(path, dict) else path, row)  # no dict within a dict within …
        if isinstance(audio, bytes):
            return read(audio).wave
        if isinstance(audio, str):
            return read(_file(audio, row)).wave
        if isinstance(audio, Sequence | np.ndarray):
            return from_numbers(audio).wave
    except NoSound as error:
        named = f"{audio} " if isinstance(audio, str) else ""
        reason = "missing" if error.reason == "missing wav" else error.reason
        raise Refused(f"audio {reason}", f"{named}{error.detail}") from error
    raise Refused("audio missing", "neither a path, bytes nor samples")


def _sampled(samples: object, rate: object) -> np.ndarray:
    wave = from_numbers(samples).wave
    if not isinstance(rate, int | float) or not 1_000 <= rate <= 768_000:
        raise NoSound("undecodable", f"has a sampling_rate of {rate!r}")
    return resample(wave, int(rate))


def _file(name: str, row: Row) -> Path:
    """Return the path of a row's file. Raises Refused if the row may not name it."""
    if row.table is not None:
        return beside(Path(row.table), name)
    if row.folder is None or "\0" in name or not Path(row.folder, name).resolve().is_relative_to(Path(row.folder).resolve()):
        raise Refused("audio missing", f"{name} is not part of the data set")
    return Path(row.folder, name)
