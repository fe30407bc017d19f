"""Read a file of answers, and write it with the judge's replies."""

import json
import os
from pathlib import Path

from inserter.errors import InserterError
from inserter.scoring.judge.cache import FOLDER
from inserter.scoring.judge.prompts import Task
from inserter.scoring.judge.run import judge
from inserter.scoring.judge.settings import JudgeSettings
from inserter.scoring.judge.usage import Usage
from inserter.scoring.recordfiles import check_name, raw_records, value, write_records


def judge_file(
    path: Path | str, out: Path | str, task: Task, *, settings: JudgeSettings, cache_folder: Path | str = FOLDER
) -> Usage:
    """Judge the records of `path` and write them to `out`, in their order, each with `pred_score`.

    A line that is not a JSON object becomes {"id": its number, "pred_score": [], "judge_error"}.
    Raise InserterError, before anything is asked, for a file that cannot be read or has no records.
    The same holds for an `out` that cannot be written.
    """
    path, out = Path(path), Path(out)
    _check(path, out)
    asked = [(number, _value(raw)) for number, raw in raw_records(path)]
    records, usage = judge([record for _, record in asked], task, settings, cache_folder=cache_folder)
    named = (
        judged if isinstance(record, dict) else {"id": number, **judged}
        for (number, record), judged in zip(asked, records, strict=True)
    )
    write_records(out, named)
    return usage


def _check(path: Path, out: Path) -> None:
    check_name(out)
    if out.resolve() == path.resolve():
        raise InserterError(f"--out {out} is also the input file", "Give --out another name")
    if out.is_dir():
        raise InserterError(f"--out {out} is a folder", "Give --out the name of a file")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InserterError(f"cannot write {out}: {folder} is not a writable folder", "Give --out a file in a writable folder")


def _value(raw: object) -> object:
    """Return the record, or None for a line that is not JSON.

    Half a surrogate pair, which UTF-8 cannot hold, becomes a question mark.
    """
    try:
        return json.loads(json.dumps(value(raw), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
