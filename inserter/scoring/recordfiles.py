"""Read and write files of records: the only reader and the only writer.

The forms are JSON Lines (also as .gz or .zst), a JSON array, Parquet and CSV, whoever wrote them.
"""

import codecs
import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from inserter.errors import InserterError
from inserter.files import atomic

Raw = tuple[int, bytes | Any]  # number from 1, and the bytes of a line or the record itself
BLANK = re.compile(r"\s*")
BOM = b"\xef\xbb\xbf"
WIDE = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
NOT_UTF8 = "the text is not UTF-8"
SHEETS, PACKED = (".csv", ".tsv"), (".gz", ".zst")
ARROW = (".parquet", ".zst")
NOT_WRITTEN = (*SHEETS, ".xlsx", ".arrow", ".feather", ".avro", ".orc", ".bz2", ".xz", ".zip")
GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"  # the first bytes of such files
OTHERS = {
    b"PK\x03\x04": "a zip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"ARROW1": "an Arrow file",
    b"\xff\xff\xff\xff": "an Arrow file",
}
FORMS = "JSON Lines (also .gz or .zst), a JSON array, Parquet or CSV"
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, csv.Error)


class Refused(Exception):
    """A record that cannot be used.

    reason: the class under which the record is counted. detail: what exactly is wrong.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # so that workers can return it
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def raw_records(path: Path | str) -> Iterator[Raw]:
    """Yield the records of a file, as `value` takes them.

    The content decides the form, not the name, except for CSV. Columns of bytes (sound) are left
    out. Memory does not grow with JSON Lines and Parquet. Raise InserterError if the file cannot be
    read or has no records.
    """
    path = Path(path)
    try:
        records = _records(path)
        first = next(records, None)
        if first is None:
            raise InserterError(f"{path} has no records", "Give one JSON object per line")
        yield first
        yield from records
    except _damaged() as error:
        raise InserterError(f"{path} is damaged or cut short ({error})", "Copy the file again") from error
    except OSError as error:
        raise InserterError(f"{path} cannot be read ({error.strerror or error})", f"Give a file of records: {FORMS}") from error


def value(raw: object) -> Any:
    """Return the record. Raise ValueError if a line is not JSON."""
    if not isinstance(raw, bytes):
        return raw
    try:
        return json.loads(raw.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _damaged() -> tuple[type[Exception], ...]:
    """Return the errors of a damaged file, with pyarrow's if a file has needed pyarrow."""
    arrow = sys.modules.get("pyarrow")
    return (*DAMAGED, arrow.ArrowException) if arrow else DAMAGED


def _arrow(path: Path | str) -> ModuleType:
    """Return the module `arrowfiles`. Raise InserterError without pyarrow."""
    try:
        from inserter.scoring import arrowfiles
    except ModuleNotFoundError as error:
        raise InserterError(f"{path}: Parquet and zstd need pyarrow", "Run `pip install 'inserter[parquet]'`") from error
    return arrowfiles


def _records(path: Path) -> Iterator[Raw]:
    with path.open("rb") as file:
        head = file.read(6)
    if other := next((kind for start, kind in OTHERS.items() if head.startswith(start)), None):
        raise InserterError(f"{path} is {other}", f"Give {FORMS}")
    if head.startswith(PARQUET):
        found: Iterator[Raw] = _arrow(path).read_parquet(path)
        return found
    if _suffix(path) in SHEETS:
        return _csv(path, head)
    return _json(path, head)


def _suffix(path: Path) -> str:
    """Return the suffix of the name, without that of a compression."""
    inner = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return inner.suffix.lower()


def _json(path: Path, head: bytes) -> Iterator[Raw]:
    with _opened(path, head) as file:
        lines = ((number, line.strip()) for number, line in enumerate(_utf8(file, head), 1))
        lines = ((number, line.removeprefix(BOM).strip() if number == 1 else line) for number, line in lines)
        full = ((number, line) for number, line in lines if line)
        first = next(full, None)
        if first is None:
            return
        if first[1] == b"{" or first[1].startswith(b"["):
            yield from _whole(path, [first, *full])
            return
        yield from chain([first], full)


def _utf8(file: BinaryIO, head: bytes) -> Iterable[bytes]:
    """Return the lines in UTF-8, also for a file with the mark of UTF-16 or UTF-32."""
    encoding = _wide(head)
    return (line.encode() for line in io.TextIOWrapper(file, encoding, "replace", newline="\n")) if encoding else file


def _wide(head: bytes) -> str | None:
    return next((encoding for mark, encoding in WIDE.items() if head.startswith(mark)), None)


def _whole(path: Path, lines: list[Raw]) -> list[Raw]:
    """Return the records of a JSON array, or of objects that take several lines each.

    Return the lines themselves if they are neither. Raise InserterError if an array is damaged: its
    lines are no records.
    """
    text = b"\n".join(line for _, line in lines)
    try:
        found = _values(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if lines[0][1] != b"{" and not any(_is_object(line) for _, line in lines):
            raise InserterError(
                f"{path}: its JSON array cannot be read ({error})", "Correct the array, or give JSON Lines"
            ) from error
        return lines
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    elif lines[0][1] != b"{":
        return lines
    return list(enumerate(found, 1))


def _values(text: str) -> list[object]:
    """Return the JSON values that stand one after the other in `text`."""
    found, at, decoder = [], 0, json.JSONDecoder()
    while at < len(text):
        one, end = decoder.raw_decode(text, at)
        found.append(one)
        at = BLANK.match(text, end).end()  # type: ignore[union-attr]
    return found


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(value(line), dict)
    except ValueError:
        return False


def _opened(path: Path, head: bytes) -> BinaryIO:
    if head[:2] == GZIP:
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if head.startswith(ZSTD):
        stream: BinaryIO = _arrow(path).zstd_reader(path)
        return stream
    return path.open("rb")


def _csv(path: Path, head: bytes) -> Iterator[Raw]:
    """Yield the rows, split at the separator that is most frequent in the first line.

    In place of a row that cannot be read, yield the reason.
    """
    encoding = _wide(head) or "utf-8-sig"
    with _opened(path, head) as file, io.TextIOWrapper(file, encoding, "surrogateescape", newline="") as text:
        csv.field_size_limit(2**31 - 1)
        first = text.readline()
        rows = csv.reader(chain([first], text), delimiter=max(",;\t", key=first.count))
        names = next(rows, [])
        for number, row in enumerate(filter(None, rows), 1):
            yield number, _row(names, row)


def _row(names: list[str], cells: list[str]) -> dict[str, str] | str:
    """Return the record, or what is wrong with it."""
    if len(cells) != len(names):
        return f"{len(cells)} cells for {len(names)} columns"
    if not all(_is_text(cell) for cell in cells):
        return NOT_UTF8
    record = dict(zip(names, cells, strict=True))
    twice = [name for name, cell in zip(names, cells, strict=True) if record[name] != cell]
    return f"two values for the column {twice[0]}" if twice else record


def _is_text(cell: str) -> bool:
    return cell.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in cell)


def check_name(path: Path | str) -> None:
    """Raise InserterError for a name whose form is not written, or not without pyarrow."""
    if Path(path).suffix.lower() in ARROW:
        _arrow(path)
    if Path(path).suffix.lower() in NOT_WRITTEN or _suffix(Path(path)) in NOT_WRITTEN:
        raise InserterError(
            f"{path}: this ending is not an output format", "Give a name that ends in .jsonl, .jsonl.gz or .parquet"
        )


def write_records(path: Path | str, records: Iterable[Mapping[str, object]]) -> Path:
    """Write records in the form of the name: .parquet, .json (an array), else JSON Lines.

    JSON Lines are compressed for .gz and .zst. The same records give the same bytes. Raise
    InserterError for a form that is not written.
    """
    check_name(path)
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        rows = list(records)
        return atomic(path, lambda temporary: _arrow(path).write_parquet(temporary, rows))
    return atomic(path, lambda temporary: _write_json(temporary, suffix, records))


def _write_json(path: Path, suffix: str, records: Iterable[Mapping[str, object]]) -> None:
    lines = (json.dumps(record, ensure_ascii=False, sort_keys=True).encode() for record in records)
    with path.open("wb") as plain:
        if suffix == ".json":
            plain.write(b"[\n" + b",\n".join(lines) + b"\n]\n")
            return
        packed: Any = plain
        if suffix == ".gz":
            packed = gzip.GzipFile(filename="", fileobj=plain, mode="wb", mtime=0)
        elif suffix == ".zst":
            packed = _arrow(path).zstd_writer(plain)
        for line in lines:
            packed.write(line + b"\n")
        if packed is not plain:
            packed.close()
