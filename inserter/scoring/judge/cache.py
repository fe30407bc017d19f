"""Keep every reply that was paid for, on disk as soon as it comes.

A crash loses no reply, and nothing is asked twice.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from inserter.chat.completions import Reply
from inserter.errors import InserterError
from inserter.paths import WORK
from inserter.scoring.judge.prompts import Message
from inserter.scoring.judge.settings import JudgeSettings

FOLDER = WORK / "judge"
FILE = "replies.sqlite"
TABLE = """CREATE TABLE IF NOT EXISTS replies (
    key TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL, note TEXT NOT NULL DEFAULT '', PRIMARY KEY (key, number)
) WITHOUT ROWID"""
# For a cache that was made before there were notes.
NOTE = "ALTER TABLE replies ADD COLUMN note TEXT NOT NULL DEFAULT ''"


def key_of(messages: list[Message], settings: JudgeSettings) -> str:
    """Return the SHA-256 of all that decides what a judge says.

    This is the endpoint, the model, the sampling parameters and the messages. The endpoint counts,
    since a model's name means another judge on another server. n does not count: replies are
    numbered as they come, so a run with a larger n asks only for the rest.
    """
    parts = {
        "endpoint": settings.endpoint,
        "model": settings.model,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_tokens": settings.max_tokens,
        "messages": messages,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class ReplyCache:
    """Replies by key, numbered in the order in which they came.

    The cache is a context manager, and safe for processes that run side by side.
    """

    def __init__(self, folder: Path | str = FOLDER) -> None:
        """Create `folder` and its `replies.sqlite` if they are missing.

        Raise InserterError if the file cannot be used.
        """
        self.path = Path(folder) / FILE
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            remedy = "Run from a writable folder: this file keeps the judge's paid replies"
            raise InserterError(f"cannot write {self.path}: {error.strerror}", remedy) from error
        with self._explained():
            self._connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            with self._transaction():
                self._connection.execute(TABLE)
                if "note" not in [name for _, name, *_ in self._connection.execute("PRAGMA table_info(replies)")]:
                    self._connection.execute(NOTE)

    def replies(self, key: str) -> list[Reply]:
        with self._explained():
            rows = self._connection.execute("SELECT text, note FROM replies WHERE key = ? ORDER BY number", (key,))
            return [Reply(text, note) for text, note in rows]

    def add(self, key: str, replies: list[Reply]) -> None:
        """Append to the replies of `key`; all of them are on disk when this method returns."""
        with self._explained(), self._transaction():
            (first,) = self._connection.execute("SELECT COUNT(*) FROM replies WHERE key = ?", (key,)).fetchone()
            rows = [(key, number, reply.text, reply.note) for number, reply in enumerate(replies, first)]
            self._connection.executemany("INSERT INTO replies VALUES (?, ?, ?, ?)", rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        # A full disk, no permission, or a lock that another process keeps.
        except sqlite3.OperationalError as error:
            raise InserterError(f"cannot use {self.path}: {error}", "Free disk space or correct the permissions") from error
        except sqlite3.DatabaseError as error:
            raise InserterError(
                f"{self.path} is damaged ({error})", "Move that file away; the judge is then asked again"
            ) from error

    def __enter__(self) -> "ReplyCache":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
