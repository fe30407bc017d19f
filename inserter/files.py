"""Read and write files that are either whole or absent.

A file is written beside its target, synced to disk and then renamed to the target.
"""

import ast
import filecmp
import hashlib
import json
import os
import shutil
import tokenize
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from inserter.errors import InserterError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from inserter.tables import Table

Row = TypeVar("Row")


def atomic(path: Path | str, write: Callable[[Path], object]) -> Path:
    """Call `write` on a temporary sibling of `path`, sync the sibling and rename it to `path`.

    A crash leaves the old file. Raises InserterError if the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InserterError(f"cannot write {path}: {error}", "Free some disk space or correct the permissions") from error
    finally:
        with suppress(OSError):  # the error raised above already names the cause
            temporary.unlink(missing_ok=True)
    return path


def publish(folder: Path | str, target: Path | str) -> Path:
    """Move a finished `folder` to `target` and replace what is there.

    The folder is renamed, so `target` is never half copied.
    """
    folder, target = Path(folder), Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


def link(source: Path | str, target: Path | str) -> None:
    """Hard-link `target` to the file `source`.

    Copy the file if the file system has no hard links, or if `target` is on another file system.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def share(source: Path, copy: Path) -> None:
    """Replace each file of the folder `copy` that equals its twin in `source` by a hard link.

    The disk then holds each such file once.
    """
    for file in sorted(source.rglob("*")):
        twin = copy / file.relative_to(source)
        if file.is_file() and twin.is_file() and not twin.samefile(file) and filecmp.cmp(file, twin, shallow=False):
            new = twin.with_name(f".{twin.name}.{os.getpid()}.tmp")
            link(file, new)
            new.replace(twin)


def write_json(path: Path | str, value: object) -> Path:
    """Write JSON with sorted keys and full floats: the same value gives the same bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return atomic(path, lambda p: p.write_text(text, encoding="utf-8"))


def read_json(path: Path | str) -> Any:
    """Return the content of a JSON file. Raises InserterError if the file is absent or invalid."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InserterError(f"{path} is missing", "Run `dvc repro`, or `dvc pull` if DVC has a remote") from error
    except json.JSONDecodeError as error:
        raise InserterError(f"{path} is not valid JSON ({error})", "Delete that file and run `dvc repro`") from error


def write_jsonl(path: Path | str, rows: Iterable[object]) -> Path:
    """Write each row as one line of JSON with sorted keys."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")

    return atomic(path, write)


def read_jsonl(path: Path | str) -> Iterator[Any]:
    """Yield the value of each line of a JSON Lines file; blank lines are skipped."""
    with Path(path).open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def write_table(path: Path | str, rows: Iterable[Row], table: "Table[Row]") -> Path:
    """Write rows of `table` as one Parquet file; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = pa.Table.from_pylist(list(rows), schema=table.schema)
    return atomic(path, lambda p: pq.write_table(whole, p, compression="zstd"))


def write_batches(path: Path | str, batches: Iterable[Sequence[Row]], table: "Table[Row]") -> Path:
    """Write rows that come in batches as one Parquet file.

    Each batch with rows becomes a row group, so memory stays flat.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, table.schema, compression="zstd") as writer:
            for rows in batches:
                if rows:
                    writer.write_table(pa.Table.from_pylist(list(rows), schema=table.schema))

    return atomic(path, write)


def read_table(path: Path | str, table: "Table[Row]", *, where: Mapping[str, Collection[str]] | None = None) -> list[Row]:
    """Return the rows of a Parquet file, or of all Parquet files of a folder in name order.

    where: the values that some columns may have. The other rows are passed over quickly.

    Raises InserterError if there is no table, if a file is damaged, or if its columns are not those
    of `table`.
    """
    if not where:
        return [row for batch in read_batches(path, table) for row in batch]
    import pyarrow as pa
    import pyarrow.compute as pc

    rows: list[Row] = []
    for batch in read_arrow(path, table, table.names):
        for column, values in where.items():
            batch = batch.filter(pc.is_in(batch.column(column), value_set=pa.array(values)))
        rows += batch.to_pylist()
    return rows


def read_batches(path: Path | str, table: "Table[Row]", size: int = 4096) -> Iterator[list[Row]]:
    """Yield the rows of `read_table` in batches of at most `size` rows.

    Memory does not grow with the table. Raises InserterError as `read_table` does.
    """
    for file in _parts_of(path, table):
        for batch in file.iter_batches(batch_size=size):
            yield batch.to_pylist()


def _parts_of(path: Path | str, table: "Table[Row]") -> "Iterator[pq.ParquetFile]":
    """Yield the file, or all Parquet files of a folder in name order. Their columns are checked.

    Raises InserterError as `read_table` does.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not all(file.exists() for file in files):
        raise InserterError(f"no table at {path}", "Run `dvc repro`, or `dvc pull` if DVC has a remote")
    for file in files:
        try:
            parquet = pq.ParquetFile(file)
        except pa.ArrowException as error:
            raise InserterError(f"{file} is damaged ({error})", "Delete that file and run `dvc repro`") from error
        if parquet.schema_arrow.names != table.names:
            raise InserterError(
                f"{file} has columns {parquet.schema_arrow.names}, expected {table.names}",
                "Delete that file, which another version made, and run `dvc repro`",
            )
        yield parquet


def read_arrow(path: Path | str, table: "Table[Row]", columns: Sequence[str], *, size: int = 65_536) -> "Iterator[pa.RecordBatch]":
    """Yield some columns of a Parquet file in Arrow batches of at most `size` rows.

    No row is made, so a large table is read fast. Raises InserterError as `read_batches` does.
    """
    for file in _parts_of(path, table):
        yield from file.iter_batches(batch_size=size, columns=list(columns))


def count_rows(path: Path | str) -> int:
    """Return the number of rows of one Parquet file, from its footer.

    Raises InserterError if the file is absent.
    """
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(path).num_rows
    except FileNotFoundError as error:
        raise InserterError(f"no table at {path}", "Run `dvc repro`, or `dvc pull` if DVC has a remote") from error


def sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(*parts: object, files: Iterable[Path | str] = ()) -> str:
    """Return 16 hex digits over JSON-able `parts` and the contents of `files`.

    The digits are the key of unfinished work, the same under every version of Python. The comments,
    docstrings and blank lines of Python files do not count.
    """
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    for file in map(Path, files):
        content = _code(file) if file.suffix == ".py" else None
        digest.update((sha256(file) if content is None else hashlib.sha256(content.encode()).hexdigest()).encode())
    return digest.hexdigest()[:16]


def _code(file: Path) -> str | None:
    """Return `without_comments` of a file, or None if this Python cannot read it."""
    try:
        return without_comments(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return None


@lru_cache(1024)
def without_comments(source: str) -> str:
    """Return Python `source` without comments, docstrings, blank lines and spaces at line ends.

    The syntax tree would do, but its text differs between versions of Python.
    """
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for text in filter(_is_text, body if isinstance(body, list) else ()):
            first, last = text.lineno - 1, text.end_lineno or text.lineno
            if not lines[first][: text.col_offset].strip():  # alone on its lines
                lines[first:last] = [""] * (last - first)
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _is_text(line: ast.stmt) -> bool:
    """Return whether a statement is the docstring of a module, class, function or field."""
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def size_of(path: Path | str) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    path = Path(path)
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def endings(paths: Iterable[Path]) -> str:
    """Return the number of files and their endings, most frequent first.

    Example: `3 files (.csv 2, none 1)`.
    """
    counts = Counter(path.suffix or "none" for path in paths)
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    number = counts.total()
    return f"{number} file{'s' * (number != 1)} ({', '.join(f'{ending} {count}' for ending, count in ordered)})"
