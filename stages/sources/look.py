"""Hash the files of a source. What was hashed before and has its size and time still is not read.

The hashes are kept in `.work/sources.sqlite`. Without that file they are computed again.
"""

import hashlib
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypedDict

from tqdm import tqdm

from inserter.paths import WORK, workspace
from inserter.run.runner import say
from stages.sources.walk import UNREADABLE, VANISHED, File, Wanted, listed

CACHE = "sources.sqlite"
TABLE = """CREATE TABLE IF NOT EXISTS files (
    source TEXT, place BLOB, size INTEGER, mtime INTEGER, sha256 BLOB, PRIMARY KEY (source, place)
) WITHOUT ROWID"""
WAIT_SECONDS = 60.0  # for another look, which writes
COMMIT_SECONDS = 2.0  # a killed first look loses the hashes of this time
# A file that was written this shortly before may be written again without another time.
FRESH_NS = 2_000_000_000
UNTRUSTED = -1  # the time of such a file in the cache
PROGRESS_SECONDS = 2.0
SMALL_BYTES = 1 << 18


class Seen(TypedDict):
    """What a source holds."""

    files: int
    """Number of files, without those that have a fault."""
    bytes: int
    faults: dict[str, int]
    """Number of files that cannot be looked at, by fault."""
    sha256: str
    """Of the places, sizes and hashes of all files, and of the faults."""


def look_at(name: str, path: Path, wanted: Wanted) -> Seen:
    """Return what the files of a file, a folder or a glob hold.

    name: of the source, for messages.
    wanted: whether a file below a folder belongs to the source, by its name.

    A file that is gone when its turn comes counts as never there. One line reports files that
    cannot be looked at.
    """
    cache = workspace() / WORK / CACHE
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        return _look(name, path, wanted, cache=cache)
    except sqlite3.OperationalError as error:  # locked, read-only or no space
        say(f"sources: {cache} cannot be used ({error}): hashing all files")
    except sqlite3.DatabaseError as error:
        say(f"sources: {cache} is damaged ({error}) and was removed: hashing all files")
        cache.unlink(missing_ok=True)
    except OSError as error:
        say(f"sources: {cache} cannot be used ({error.strerror}): hashing all files")
    return _look(name, path, wanted, cache=None)


def _look(name: str, path: Path, wanted: Wanted, *, cache: Path | None) -> Seen:
    total, faults, digest = Counter[str](), Counter[str](), hashlib.sha256()
    first, gone = None, 0
    with closing(sqlite3.connect(cache or ":memory:", timeout=WAIT_SECONDS)) as base:
        for file, content in _hashed(base, name, path, wanted=wanted):
            if file.fault == VANISHED:
                gone += 1
                continue
            if file.fault:
                faults[file.fault] += 1
                first = file.place if first is None else first
            else:
                total.update(files=1, bytes=file.size)
            digest.update(b"%d %b %d %b\n" % (len(file.place), file.place, file.size, content or str(file.fault).encode()))
    if gone:
        say(f"sources: {name}: {gone} files vanished while they were looked at")
    if first is not None:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(faults.items()))
        say(f"sources: {name}: {faults.total()} files cannot be read ({reasons}); the first is {_text(first) or path}")
    return {"files": total["files"], "bytes": total["bytes"], "faults": dict(sorted(faults.items())), "sha256": digest.hexdigest()}


def _text(place: bytes) -> str:
    return place.decode("utf-8", "backslashreplace")


def _hashed(base: sqlite3.Connection, name: str, path: Path, *, wanted: Wanted) -> Iterator[tuple[File, bytes | None]]:
    """Yield each file with the SHA-256 of its content, or with None and its fault.

    Files and cache are in the same order, so a million files need no more memory than one.
    """
    base.execute(TABLE)
    source = f"{name} {_text(os.fsencode(path.absolute()))}"
    known = base.execute("SELECT place, size, mtime, sha256 FROM files WHERE source = ? ORDER BY place", (source,))
    row = known.fetchone()
    trusted, committed = time.time_ns() - FRESH_NS, time.monotonic()
    counts, again = Counter[str](), row is not None
    with tqdm(desc=f"sources: {name}: hash", unit="B", unit_scale=True, delay=PROGRESS_SECONDS, leave=False) as bar:
        for file in listed(path, wanted):
            while row and row[0] < file.place:
                _forget(base, source, row[0])
                counts["removed"] += 1
                row = known.fetchone()
            mine, row = (row, known.fetchone()) if row and row[0] == file.place else (None, row)
            if mine and mine[1:3] == (file.size, file.mtime) and not file.fault:
                yield file, mine[3]
                continue
            now, content = (file, None) if file.fault else _read(file)
            if content:
                told = "added" if mine is None else "changed" if mine[3] != content else None
                counts.update([told] if told else [])
                values = (source, now.place, now.size, now.mtime if now.mtime < trusted else UNTRUSTED, content)
                base.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", values)
            elif mine:
                _forget(base, source, now.place)
            bar.update(now.size)
            if time.monotonic() - committed > COMMIT_SECONDS:
                base.commit()
                committed = time.monotonic()
            yield now, content
    while row:
        _forget(base, source, row[0])
        counts["removed"] += 1
        row = known.fetchone()
    base.commit()
    if counts and again:
        figures = ", ".join(f"{counts[what]} {what}" for what in ("added", "changed", "removed"))
        say(f"sources: {name}: {figures} since the last look")


def _forget(base: sqlite3.Connection, source: str, place: bytes) -> None:
    base.execute("DELETE FROM files WHERE source = ? AND place = ?", (source, place))


def _read(file: File) -> tuple[File, bytes | None]:
    """Return the file as it is now, and the SHA-256 of its content; None with a fault."""
    try:
        with Path(os.fsdecode(file.path)).open("rb", buffering=0) as content:
            # `file_digest` makes a buffer of 256 KiB, which takes longer than a small file.
            small = file.size < SMALL_BYTES
            digest = (hashlib.sha256(content.readall()) if small else hashlib.file_digest(content, "sha256")).digest()
            about = os.fstat(content.fileno())
    except FileNotFoundError:
        return file._replace(size=0, mtime=0, fault=VANISHED), None
    except OSError:
        return file._replace(size=0, mtime=0, fault=UNREADABLE), None
    return file._replace(size=about.st_size, mtime=about.st_mtime_ns), digest
