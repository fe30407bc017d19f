"""`inserter page`: systems in columns, with scores above and every answer and its sound below; in a real Chromium, from a file."""

import json
from pathlib import Path

import pytest
import report_inputs as made
from browsing import CONTRAST, NARROW, WIDE, needs_chromium, overflow
from click.testing import CliRunner, Result

from inserter.cli import new_app
from inserter.files import read_jsonl, write_jsonl
from inserter.page.systems.read import systems


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of three systems: one heard and read, and another of which some items failed."""
    root = tmp_path_factory.mktemp("page")
    data, _ = made.write(root, copies=3, judged=True, hostile=True)
    rows = [row for row in read_jsonl(data / "evaluate" / "responses.jsonl") if row["form"] in ("heard", "read", "lm")]
    for form, name in (("heard", "mine"), ("read", "mine"), ("lm", "org/other-7b")):
        answers = [
            {**row, "system": {"model": name}, "form": "heard" if form == "lm" else form} for row in rows if row["form"] == form
        ]
        if form == "lm":
            answers[1::4] = [_failed(row) for row in answers[1::4]]
        write_jsonl(root / form / "closed.jsonl", [row for row in answers if row["task"] == "closed"])
        write_jsonl(root / form / "open.jsonl", [{**row, "judged": None} for row in answers if row["task"] == "open"])
        write_jsonl(root / form / "open-judged.jsonl", [row for row in answers if row["task"] == "open"])
    return root


def _failed(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in ("response", "strict", "loose")} | {"error": "503: no"}


def page(folder: Path, *files: str, out: str = "all.html") -> Result:
    given = [str(folder / name) for name in files]
    return CliRunner().invoke(new_app(), ["page", *given, "--out", str(folder / out), "--items", str(folder / "data/benchmark")])


def test_systems_are_told_apart_by_model_and_form(folder: Path) -> None:
    found = systems([folder / "heard", folder / "read", folder / "lm"])
    assert [system.name for system in found] == ["mine", "mine, read", "org/other-7b"]
    assert all(row.get("votes") for row in found[0].rows.values() if row["task"] == "open"), "the judged file stands for the other"
    again = systems([folder / "heard", folder / "heard/closed.jsonl"])
    assert len(again) == 2 and again[1].name.startswith("mine (")


@needs_chromium
@pytest.mark.parametrize(("size", "scheme"), [(NARROW, "light"), (WIDE, "dark")])
def test_the_page_shows_scores_chance_answers_and_sound(folder: Path, open_page, size, scheme) -> None:
    result = page(folder, "heard", "read", "lm")
    assert result.exit_code == 0 and "3 systems" in result.stdout, result.output
    opened = open_page((folder / "all.html").as_uri(), size, scheme)
    assert overflow(opened) <= 0 and opened.evaluate(CONTRAST) == []
    text = opened.locator("#scores").inner_text()
    assert "org/other-7b" in text and "chance" in text and "Open-ended" in text and "All variants" in text
    opened.locator(".item .head").nth(1).click()
    assert opened.locator(".item.open .answer").count() == 3 and "503: no" in opened.locator(".item.open").inner_text()
    assert opened.locator(".item.open audio").get_attribute("src").startswith("all/") and overflow(opened) <= 0
    assert opened.locator("select[name=outcome] option").nth(1).inner_text() == "mine fails where mine, read passes"


def test_the_scores_are_those_of_the_command(folder: Path) -> None:
    page(folder, "heard/closed.jsonl", out="one.html")
    scored = CliRunner().invoke(new_app(), ["score", "closed", str(folder / "heard/closed.jsonl"), "--intervals", "--json"])
    cell = json.loads(scored.stdout)["by_variant"]["closed"]["en"]["standard"]["heard"]
    html = (folder / "one.html").read_text()
    low, high = cell["interval"]["mean"]["instruction"]
    assert f"<b>{100 * cell['mean']['instruction']:.1f}</b><small>{100 * low:.1f}–{100 * high:.1f}</small>" in "".join(
        html.split("\n")
    )


def test_a_folder_with_other_files_is_left_alone(folder: Path) -> None:
    (folder / "own").mkdir()
    (folder / "own" / "thesis.txt").write_text("mine")
    result = page(folder, "heard", out="own.html")
    assert result.exit_code == 1 and "thesis.txt" in str(result.exception)
    assert (folder / "own" / "thesis.txt").read_text() == "mine" and not (folder / "own.html").exists()


@pytest.mark.parametrize("record", [{"response": "x"}, {"task": "closed", "key": "1", "prompt": "p", "response": "x"}])
def test_a_file_of_something_else_is_refused_in_one_line(folder: Path, record: dict) -> None:
    write_jsonl(folder / "other.jsonl", [record])
    result = page(folder, "other.jsonl")
    assert result.exit_code == 1 and "other.jsonl" in str(result.exception) and "inserter answer" in str(result.exception)
