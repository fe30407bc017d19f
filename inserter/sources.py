"""Find the files of a source that a user names, and stream the rows of a data set of the hub."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from glob import has_magic
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.paths import workspace

if TYPE_CHECKING:
    from datasets import IterableDataset

TEXT_FORMS = ".txt, .jsonl, .parquet (.txt and .jsonl also .gz or .zst)"
ROW_FORMS = ".jsonl, .json (also .gz or .zst) or .parquet"
# Names are bytes: a million of them are matched in a second, and a name need not be UTF-8.
_TEXT = re.compile(rb".+(\.txt|\.jsonl)(?:\.gz|\.zst)?|.+(\.parquet)", re.IGNORECASE | re.DOTALL)
_ROWS = re.compile(rb".+(\.jsonl|\.json)(?:\.gz|\.zst)?|.+(\.parquet)", re.IGNORECASE | re.DOTALL)


def text_form(name: bytes) -> str:
    """Return the suffix that says how to read a file of text by its name; "" if there is none."""
    return _form(_TEXT, name)


def row_form(name: bytes) -> str:
    """Return the suffix that says how to read a file of conversations; "" if there is none."""
    return _form(_ROWS, name)


def _form(pattern: re.Pattern[bytes], name: bytes) -> str:
    match = pattern.fullmatch(name)
    return (match[1] or match[2]).decode().lower() if match else ""


def located(path: str) -> Path:
    """Return where the path of a source leads.

    DVC's temporary copies of the workspace (`dvc exp run --temp`, `--queue`) have only what git
    has. A relative path that leads nowhere there is looked up in the workspace itself.
    """
    here = Path(path).expanduser()
    home = workspace()
    if home == Path() or here.is_absolute() or os.path.lexists(_fixed(here)):
        return here
    return home / here


def _fixed(path: Path) -> Path:
    """Return the part of a path before the first `*`."""
    return Path(*takewhile(lambda part: not has_magic(part), path.parts))


def found(path: Path, readable: Callable[[Path], object]) -> tuple[Path, list[Path]]:
    """Return the root and the sorted files of a file, a folder or a glob.

    The root is `path` if that is a folder, or the folder of the file. The root of a glob is the
    part before the first `*`. A broken link counts as a file: reading it reports the fault.

    readable: whether a file below a folder belongs to the source.
    """
    if path.is_dir():
        return path, sorted(file for file in below(path) if readable(file))
    if path.exists():
        return path.parent, [path]
    root = _fixed(path)
    matches = set(root.glob(str(path.relative_to(root)))) if root != path else set()
    return root, sorted(file for file in matches if file.is_file() or file.is_symlink())


def below(folder: Path) -> Iterator[Path]:
    """Yield all files below `folder`; links to folders are followed, each folder once."""
    seen = set()
    for at, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        real = os.path.realpath(at)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (file for name in names if (file := Path(at, name)).is_file() or file.is_symlink())


def place(path: Path, root: Path) -> str:
    """Return the path of a file below the source's root, as text that can always be written.

    The name of a file may have any bytes.
    """
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def beside(table: Path, name: str) -> Path:
    """Return the path of a file that a row of `table` names.

    A relative path begins at the table's folder. If the table is a link, the path may also begin
    where the link leads.
    """
    places = (table.parent / name, table.resolve().parent / name)
    return next(filter(os.path.isfile, places), places[0])


def stamps(files: Iterable[tuple[str, Path]]) -> list[tuple[str, int, int]]:
    """Return (place, size in bytes, modification time in ns) of files; zeros for a broken link.

    Files of a source may be large, so unfinished work is keyed by these instead of the content.
    """
    return [(name, *_stamp(path)) for name, path in files]


def _stamp(path: Path) -> tuple[int, int]:
    return (about.st_size, about.st_mtime_ns) if path.exists() and (about := path.stat()) else (0, 0)


def hub_rows(name: str, path: str, split: str, *, skip: int = 0, decode: bool = True) -> Iterator[tuple[int, dict[str, object]]]:
    """Stream (number from 1, row) of a data set of the hub, without the first `skip` rows.

    name: of the source, for errors.
    path: org/name, org/name:configuration, or a local folder laid out like a data set.
    decode: whether audio is decoded. Otherwise a row has its bytes and its path.
    """
    from datasets import load_dataset

    data_set, _, configuration = path.partition(":")
    rows: IterableDataset | None = None
    number = skip
    try:
        rows = load_dataset(data_set, configuration or None, split=split, streaming=True)
        rows = rows if decode else rows.decode(False)
        for number, row in enumerate(rows.skip(skip) if skip else rows, skip + 1):
            yield number, row
    except Exception as error:  # datasets, the hub's client and the network raise different errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if rows is not None:
            raise InserterError(
                f"source {name}: the data set {path} cannot be read after row {number} ({reason})",
                "Run again if the network failed. Or download the files and set kind: local, which drops bad records",
            ) from error
        raise InserterError(
            f"source {name}: the data set {path} cannot be loaded ({reason})",
            "Check the name, configuration and split of the data set. Without a hub, download the files and set kind: local",
        ) from error
