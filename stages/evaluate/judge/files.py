"""A JSONL file of answers in, the same with the judge's replies out."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.common.errors import InserterError
from stages.common.files import write_jsonl
from stages.evaluate.judge.cache import FOLDER
from stages.evaluate.judge.prompts import Task
from stages.evaluate.judge.run import judge
from stages.evaluate.judge.settings import JudgeSettings
from stages.evaluate.judge.usage import Usage


def judge_file(
    path: Path | str, out: Path | str, task: Task, settings: JudgeSettings, cache_folder: Path | str = FOLDER
) -> Usage:
    """Judge the records of `path` and write them to `out`, in their order, each with `pred_score`.

    A line that is not a JSON object becomes {"id": its number, "pred_score": [], "judge_error"}. Raises InserterError,
    before anything is asked, for a file that cannot be read or has no records and for an `out` that cannot be written.
    """
    path, out = Path(path), Path(out)
    _check(path, out)
    lines = list(_lines(path))
    if not lines:
        raise InserterError(f"{path} has no records", "Give one JSON object a line")
    records, usage = judge([value for _, value in lines], task, settings, cache_folder)
    named = (
        record if isinstance(value, dict) else {"id": number, **record}
        for (number, value), record in zip(lines, records, strict=True)
    )
    write_jsonl(out, named)
    return usage


def _check(path: Path, out: Path) -> None:
    if out.resolve() == path.resolve():
        raise InserterError(f"{out} is the file that is judged", "Give --out another name")
    if out.is_dir():
        raise InserterError(f"{out} is a folder", "Give --out the name of a file")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InserterError(f"cannot write {out}: {folder} takes no file", "Give --out a place that can be written")


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(number from 1, value) of the lines that are not blank; a line that is not JSON has the value None."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line := line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").strip():
                    yield number, _value(line)
    except OSError as error:
        raise InserterError(f"{path} cannot be read ({error.strerror})", "Give a JSONL file of answers") from error


def _value(line: bytes) -> Any:
    """JSON may hold half a surrogate pair, UTF-8 may not: it becomes a question mark."""
    try:
        value = json.loads(line.decode("utf-8"))
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
