"""Build the four parts of the report from the results of the stage `evaluate`.

The page comes last, since it refers to the other parts.
"""

from pathlib import Path

from inserter.audio.clips import read_clip_bytes
from inserter.errors import InserterError
from inserter.evaluation import Response
from inserter.files import atomic, read_json, read_jsonl, read_table
from inserter.page.audio import audio_name, publish_files
from inserter.page.browser.items import browsable
from inserter.paths import DATA, REPORTS
from inserter.tables import ITEMS
from stages.report.figure import draw
from stages.report.page import render
from stages.report.text import markdown


def build(data: Path = DATA, reports: Path = REPORTS) -> dict[str, int]:
    """Write benchmark.html, .md, .png and the folder benchmark/ below `reports`.

    The folder holds the audio of the answered items: FLAC, 16 kHz.
    Return counts. rows: one per item and form. without_audio: items that are only read.
    Raises InserterError if an input is missing or is not what the stage `evaluate` writes.
    """
    evaluation = read_json(reports / "evaluate.json")
    if "speechinstructbench" not in evaluation:
        raise InserterError(f"{reports / 'evaluate.json'} holds no scores", "Run `dvc repro evaluate`")
    rows = _responses(data / "evaluate" / "responses.jsonl")
    table = {row["item_id"]: row for row in read_table(data / "benchmark" / "items.parquet", ITEMS)}
    items = browsable(rows, table)
    clips = [table[item["id"]] for item in items if item["audio"]]
    text, html = markdown(evaluation), render(evaluation, rows, items)
    sounds = ((audio_name(clip["item_id"]), read_clip_bytes(data / "benchmark", clip)) for clip in clips)
    publish_files(sounds, reports / "benchmark")
    atomic(reports / "benchmark.png", lambda path: draw(evaluation["speechinstructbench"], path))
    _write(reports / "benchmark.md", text)
    _write(reports / "benchmark.html", html)
    return {"items": len(items), "audio": len(clips), "without_audio": len(items) - len(clips), "rows": len(rows)}


def _responses(path: Path) -> list[Response]:
    try:
        rows = list(read_jsonl(path))
    except FileNotFoundError as error:
        raise InserterError(f"{path} is missing", "Run `dvc repro evaluate`") from error
    except ValueError as error:
        raise InserterError(f"{path} is not JSON lines ({error})", "Delete that file and run `dvc repro evaluate`") from error
    needed = {
        "item_id",
        "key",
        "task",
        "lang",
        "variant",
        "form",
        "prompt",
        "response",
        "instruction_id_list",
        "kwargs",
    }
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or (missing := needed - row.keys()):
            lacks = f"lacks {', '.join(sorted(missing))}" if isinstance(row, dict) else "is not an object"
            raise InserterError(f"{path}, record {number} {lacks}", "Delete that file and run `dvc repro evaluate`")
    return rows


def _write(path: Path, text: str) -> None:
    atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
