"""List the files of a source, in the byte order of their places, with size and time."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from inserter.sources import found

Wanted = Callable[[bytes], object]  # whether a file below a folder belongs to the source, by its name
VANISHED, BROKEN, UNREADABLE, SPECIAL = "vanished", "broken link", "unreadable", "not a file"


class File(NamedTuple):
    """A file as it was listed."""

    place: bytes
    """Path below the root of the source. The name of a file may have any bytes."""
    path: bytes
    size: int
    mtime: int
    """Time of the last modification, in ns."""
    fault: str | None = None
    """Why it cannot be looked at; size and mtime are then 0."""


def listed(path: Path, wanted: Wanted) -> Iterator[File]:
    """Yield the files of a file, a folder or a glob, as `inserter.sources.found` names them.

    Links are followed, each folder once. A folder that cannot be opened is one file with a fault.
    """
    if path.is_dir():
        yield from _below(os.fsencode(path), wanted)
        return
    root, files = found(path, lambda file: wanted(os.fsencode(file.name)))
    places = sorted((os.fsencode(file.relative_to(root)), file) for file in files)
    yield from (_file(place, file) for place, file in places)


def _below(folder: bytes, wanted: Wanted) -> Iterator[File]:
    """Yield the files below `folder`.

    A folder sorts as its name with a slash, so the whole paths are in order.
    """
    seen: set[bytes] = set()
    levels: list[Iterator[File | bytes]] = [iter([b""])]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif isinstance(entry, File):
            yield entry
        elif (real := os.path.realpath(folder + b"/" + entry)) not in seen:
            seen.add(real)
            levels.append(_within(folder + b"/" + entry, entry, wanted))


def _within(folder: bytes, prefix: bytes, wanted: Wanted) -> Iterator[File | bytes]:
    """Yield the files of one folder, and the places of its folders with a slash at the end."""
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(
                ((entry.name + b"/", None) if _is_folder(entry) else (entry.name, entry) for entry in entries),
                key=lambda named: named[0],
            )
    except FileNotFoundError:
        return
    except OSError:
        yield File(prefix, folder, 0, 0, UNREADABLE)
        return
    for name, entry in ordered:
        if entry is None:
            yield prefix + name
        elif wanted(name) and (file := _file(prefix + name, entry)).fault != SPECIAL:
            yield file  # a pipe or a socket is no file of the source


def _is_folder(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that may not be followed
        return False


def _file(place: bytes, entry: "os.DirEntry[bytes] | Path") -> File:
    path = os.fsencode(entry)
    try:
        about = entry.stat()
    except FileNotFoundError:
        return File(place, path, 0, 0, BROKEN if entry.is_symlink() else VANISHED)
    except OSError:  # a circle of links, or a folder that may not be entered
        return File(place, path, 0, 0, UNREADABLE)
    if not stat.S_ISREG(about.st_mode):
        return File(place, path, 0, 0, SPECIAL)
    return File(place, path, about.st_size, about.st_mtime_ns)
