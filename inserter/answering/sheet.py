"""Keep a model's answers in a file: appended as they come, and resumed by the next call.

The file is JSON Lines with one record per item. A record that failed has `error` and no response.
"""

import fcntl
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from inserter.answering.items import AskedForm
from inserter.errors import InserterError
from inserter.files import write_jsonl
from inserter.scoring.answer import answer_of
from inserter.tables import Item

Record = dict[str, Any]
System = Mapping[str, object]
NO_SOUND = "the item has no sound"
OTHER = "Give --out another name, or delete that file"


@dataclass
class Tally:
    """Counts of one call. items = answered + failed + not asked."""

    items: int = 0
    answered: int = 0
    earlier: int = 0
    """Of the answered: by calls before this one."""

    failed: Counter[str] = field(default_factory=Counter)
    """Items without an answer, by reason."""

    not_asked: Counter[str] = field(default_factory=Counter)
    """Items that were not put to the model, by reason."""

    stopped: str | None = None
    """Why the asking ended early; None if it went to the end."""

    remedy: str = ""

    def summary(self) -> dict[str, object]:
        """Return the counts, JSON-able."""
        counts = {"items": self.items, "answered": self.answered, "earlier": self.earlier}
        return counts | {"failed": dict(self.failed), "not_asked": dict(self.not_asked), "stopped": self.stopped}


class Sheet:
    """The answers of one model to some items, and the file that holds them: see `opened`."""

    def __init__(
        self, file: BinaryIO, records: dict[str, Record], items: Sequence[Item], *, form: AskedForm, system: System
    ) -> None:
        self._file, self.records, self.form, self.system = file, records, form, dict(system)
        self.items = {item["item_id"]: item for item in items}
        self.tally = Tally(items=len(items))

    def waiting(self) -> list[Item]:
        """Return the items to ask, in order: unanswered ones that can be put in this form."""
        answered = {name for name, record in self.records.items() if "response" in record}
        self.tally.earlier = self.tally.answered = len(answered & self.items.keys())
        left = [item for name, item in self.items.items() if name not in answered]
        if self.form == "read":
            return left
        if silent := sum(not item["shard"] for item in left):
            self.tally.not_asked[NO_SOUND] = silent
        return [item for item in left if item["shard"]]

    def answer(self, item: Item, response: str, note: str = "") -> None:
        """Append an answer. note: why it is not whole, or ""."""
        self._append({**answer_of(item, self.form, response), **({"note": note} if note else {})})
        self.tally.answered += 1

    def fail(self, item: Item, reason: str) -> None:
        """Append an item that got no answer."""
        record: Record = {**answer_of(item, self.form, ""), "error": reason}
        del record["response"]
        self._append(record)
        self.tally.failed[reason] += 1

    def _append(self, record: Record) -> None:
        # A server may send half a surrogate pair, which UTF-8 cannot hold.
        line = json.dumps({**record, "system": self.system}, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
        self._file.write(line + b"\n")
        self._file.flush()
        self.records[record["item_id"]] = json.loads(line)

    def check(self, path: Path) -> None:
        """Raise InserterError for records of another system, form or wording of an item."""
        for record in self.records.values():
            item = self.items.get(record["item_id"])
            said = {"system": self.system, "form": self.form} | ({"prompt": item["prompt"]} if item else {})
            for name, value in said.items():
                if record.get(name) != value:
                    problem = f"{path} has answers with another {name}: {_short(record.get(name))}, and not {_short(value)}"
                    raise InserterError(problem, OTHER)

    def ordered(self) -> list[Record]:
        """Return one record per item, in the order of the items."""
        place = {name: number for number, name in enumerate(self.items)}
        return [self.records[name] for name in sorted(self.records, key=lambda name: (place.get(name, len(place)), name))]


@contextmanager
def opened(path: Path, items: Sequence[Item], form: AskedForm, *, system: System) -> Iterator[Sheet]:
    """Open the file of answers `path`, which may have some already; in the end, put it in order.

    items: those to answer; the file may hold answers to others. system: what decides an answer,
    such as the model and its sampling.

    Raises InserterError if the file holds answers of another system or form, or to another wording
    of an item. Also if another process writes it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise InserterError(f"cannot write {path}: {error.strerror}", "Give --out a file in a writable folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InserterError(f"another process writes {path}", "Wait for it, or give --out another name") from error
        file.seek(0)
        whole = file.read()
        whole = whole[: whole.rfind(b"\n") + 1]  # a killed process may have left half a line
        sheet = Sheet(file, dict(_records(path, whole)), items, form=form, system=system)
        sheet.check(path)
        file.truncate(len(whole))
        try:
            yield sheet
        finally:
            if sheet.records:
                write_jsonl(path, sheet.ordered())
            else:
                path.unlink()


def _short(value: object) -> str:
    text = ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)
    return text if len(text) <= 120 else f"{text[:119]}…"


def _records(path: Path, content: bytes) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(content.splitlines(), 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InserterError(f"{path}, line {number} is not JSON", OTHER) from error
        if not isinstance(record, dict) or not isinstance(record.get("item_id"), str):
            raise InserterError(f"{path}, line {number} is no answer that `inserter answer` wrote", OTHER)
        yield record["item_id"], record
