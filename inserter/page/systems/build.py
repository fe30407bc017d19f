"""Build the page: score tables with a column per system, and the browser of the items."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from inserter.audio.stored import read_clip_bytes
from inserter.errors import InserterError
from inserter.evaluation import Cell, ClosedCell, Response
from inserter.files import atomic, read_table
from inserter.page import text
from inserter.page.audio import audio_name, publish_files
from inserter.page.browser import parts, templates
from inserter.page.browser.items import PageItem, browsable
from inserter.page.systems.read import System, systems
from inserter.scoring import table as scoretable
from inserter.scoring.breakdown import Above
from inserter.scoring.scores import ALL, CHANCE
from inserter.scoring.table import ScoreRow
from inserter.tables import ITEMS


class Shown(ScoreRow):
    """A system's score in one line of a table."""

    chance: float | None
    above: Above | None
    cell: Cell


class Table(TypedDict):
    """The scores of a task in one language."""

    task: str
    lang: str
    lines: dict[str, dict[str, Shown]]
    """{variant: {column: score}}."""
    together: dict[str, Above]
    """{column: score over all variants}; empty if each system has one variant alone."""


def build(files: Sequence[Path], out: Path, items: Path) -> dict[str, int]:
    """Write the page `out`, and the sound of its items into a folder beside it.

    files: answers of any number of systems, or folders of them. items: a folder that the stage
    `benchmark` wrote, for the sound; without it the page has none.

    Return counts. Raises InserterError if a file cannot be read, or `out` cannot be written.
    """
    columns = {f"system-{number}": system for number, system in enumerate(systems(files))}
    places = {row["item_id"]: row for row in read_table(items / "items.parquet", ITEMS)} if items.is_dir() else {}
    rows = [_response(row, column) for column, system in columns.items() for row in system.rows.values()]
    shown = browsable(rows, places, out.stem)
    clips = [places[item["id"]] for item in shown if item["audio"]]
    html = render(columns, shown)
    if clips:
        folder = out.with_suffix("")
        _check(folder)
        publish_files(((audio_name(clip["item_id"]), read_clip_bytes(items, clip)) for clip in clips), folder)
    atomic(out, lambda path: path.write_text(html, encoding="utf-8"))
    return {"systems": len(columns), "items": len(shown), "answers": len(rows), "audio": len(clips)}


def render(columns: Mapping[str, System], items: Sequence[PageItem]) -> str:
    """Return the page as HTML.

    columns: the systems by the names of their columns. items: `browsable` of their answers.
    """
    names = {column: (system.name, f"{len(system.rows):,} items") for column, system in columns.items()}
    pair = (next(iter(names)), list(names)[min(1, len(names) - 1)])
    style = text("inserter.page.systems", "template/systems.css")
    page = templates("inserter.page.systems").get_template("systems.html.j2")
    return page.render(names=names, tables=tables(columns), **parts(items, names, pair, style=style))


def tables(columns: Mapping[str, System]) -> list[Table]:
    """Return one table per task and language."""
    found: dict[tuple[str, str], Table] = {}
    for column, system in columns.items():
        for task, scores in system.scores().items():
            above = {(one["lang"], one["variant"]): one for one in scores["above_chance"]}
            cells = scoretable.by_task(scores["by_variant"])[task]
            for row in scoretable.rows(scores["by_variant"]):
                place = (task, row["lang"])
                table = found.setdefault(place, {"task": task, "lang": row["lang"], "lines": {}, "together": {}})
                if row["form"].startswith(CHANCE):
                    continue
                forms = cells[row["lang"]][row["variant"]]
                by_chance = cast(ClosedCell | None, forms.get(CHANCE))
                chance = by_chance["mean"]["instruction"] if by_chance else None
                more = {"chance": chance, "above": above.get((row["lang"], row["variant"])), "cell": _tried(forms[row["form"]])}
                table["lines"].setdefault(row["variant"], {})[column] = cast(Shown, {**row, **more})
                if together := above.get((row["lang"], ALL)):
                    table["together"][column] = together
    for table in found.values():
        table["lines"] = dict(sorted(table["lines"].items(), key=lambda line: (line[0] != "standard", line[0])))
    return [found[place] for place in sorted(found, key=lambda place: scoretable.place(*place))]


def _tried(cell: Cell) -> Cell:
    """Return the cell, marked as not judged if no judge read any of its answers."""
    counts = cast(Mapping[str, Any], cell)
    untried = not counts.get("n_counted") and (counts.get("dropped") or {}).keys() == {"not judged"}
    return cast(Cell, {**cell, "judged": False} if untried else cell)


def _response(row: dict[str, Any], column: str) -> Response:
    """Return a row as the browser shows it, with the system in place of the form."""
    judged = {} if row["task"] == "closed" else {"judged": row if row.get("reason") != "not judged" else None}
    return cast(Response, {**row, **judged, "form": column})


def _check(folder: Path) -> None:
    """Raise InserterError if the folder of the sound has files that no page wrote."""
    others = [path.name for path in folder.iterdir() if path.suffix != ".flac"] if folder.is_dir() else []
    if others or (folder.exists() and not folder.is_dir()):
        what = others[0] if others else "no folder"
        raise InserterError(f"{folder}, the place of the page's sound, has {what}", "Give --out another name")
