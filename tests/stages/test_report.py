"""The report: what was measured is in it, what was not is said, and no answer gets out of its place."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_inputs as made
import yaml
from checkout import ROOT

from inserter.audio.clips import read
from inserter.errors import InserterError
from inserter.files import read_json, read_jsonl, write_json, write_jsonl
from inserter.page.browser.items import audio_name, browsable
from stages.report.stage import build
from stages.report.text import markdown

FORMS = ("heard", "read", "cascade", "lm", "asr_lm")
CHANCE = "chance"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """(data, reports, metrics) of items one of which has hostile answers."""
    data, reports = made.write(tmp_path_factory.mktemp("report"), hostile=True)
    return data, reports, build(data, reports)


class Page(HTMLParser):
    """The elements, the text outside scripts, and the JSON in the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text, self.data, self.inside = "", "", ("", {})
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.inside = (tag, dict(attrs))
        self.tags.append(self.inside)

    def handle_endtag(self, tag):
        self.inside = ("", {})

    def handle_data(self, data):
        if self.inside[1].get("id") == "data":
            self.data += data
        elif self.inside[0] not in ("script", "style"):
            self.text += " ".join(data.split()) + " "


def page(reports: Path) -> Page:
    return Page((reports / "benchmark.html").read_text(encoding="utf-8"))


def test_every_item_and_answer_is_in_the_page_and_counts_reconcile(published):
    data, reports, metrics = published
    rows = list(read_jsonl(data / "evaluate" / "responses.jsonl"))
    items = json.loads(page(reports).data)["items"]
    assert metrics == {"items": 33, "audio": 32, "without_audio": 1, "rows": len(rows)}
    assert {(item["id"], form) for item in items for form in item["forms"]} == {(r["item_id"], r["form"]) for r in rows}
    said = {(item["id"], form): answer["text"] for item in items for form, answer in item["forms"].items()}
    assert said == {(row["item_id"], row["form"]): row["response"] for row in rows}


def test_the_sound_of_an_item_stands_beside_the_page(published):
    _, reports, _ = published
    items = json.loads(page(reports).data)["items"]
    heard = [item["audio"] for item in items if item["audio"]]
    assert sorted(Path(path).name for path in heard) == sorted(path.name for path in (reports / "benchmark").iterdir())
    assert len(read((reports / heard[0]).read_bytes())) == int(1.2 * 16_000)
    assert {item["lang"] for item in items if not item["audio"]} == {"cn"}


def test_an_answer_cannot_end_the_script_or_become_markup(published):
    _, reports, _ = published
    html = (reports / "benchmark.html").read_text(encoding="utf-8")
    found = Page(html)
    assert html.count("<script") == html.count("</script>") == 2
    assert [tag for tag, _ in found.tags if tag in ("img", "iframe", "object", "link")] == ["link"]
    assert json.loads(found.data)["items"][0]["forms"]["heard"]["text"] == made.HOSTILE
    assert "\u2028" not in html


def test_the_page_names_nothing_outside(published):
    _, reports, _ = published
    html = (reports / "benchmark.html").read_text(encoding="utf-8")
    assert not re.findall(r"https?://|@import|url\(", html)
    policy = next(a["content"] for tag, a in Page(html).tags if tag == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    links = {a["href"] for tag, a in Page(html).tags if tag == "a" and not a["href"].startswith("#")}
    assert all((reports / link).exists() for link in links)


def test_the_table_has_shares_intervals_and_n(published):
    _, reports, _ = published
    scores = read_json(reports / "evaluate.json")
    text = (reports / "benchmark.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("| background"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[0] == "background" and cells[-1] == "6"
    variant = scores["speechinstructbench"]["closed"]["en"]["background"]
    assert cells[-2] == f"{100 * variant[CHANCE]['mean']['instruction']:.1f}", "no interval"
    for form, shown in zip(FORMS, cells[1:-2], strict=True):
        cell = variant[form]
        low, high = cell["interval"]["mean"]["instruction"]
        assert shown == f"{100 * cell['mean']['instruction']:.1f} ({100 * low:.1f}–{100 * high:.1f})"
        assert f"{100 * cell['mean']['instruction']:.1f}" in page(reports).text
    assert text.index("Closed-ended, English") < text.index("Closed-ended, Chinese") < text.index("Open-ended, English")


def test_the_gap_stands_beside_that_of_the_cascade(published):
    _, reports, _ = published
    text = " ".join(page(reports).text.split())
    assert "0.41 of the gap" in text and "closes 0.58 ; heard minus cascade is -0.170 (95 % -0.230 to -0.110)" in text


def test_recordings_of_people_stand_in_the_page_and_the_markdown_where_they_were_measured(tmp_path):
    data, reports = made.write(tmp_path, spoken=False)
    build(data, reports)
    assert "Recordings of people" not in page(reports).text
    found = read_json(reports / "evaluate.json")
    cell = {"errors": 3, "share": 0.12, "interval": [0.05, 0.2]}
    errors = {"heard": cell, "asr": {**cell, "share": 0.1}, "difference": None}
    found["recordings"] = {"clips": 9, "hours": 0.5, "refused": {}, "word_errors": errors, "answers": None}
    write_json(reports / "evaluate.json", found)
    build(data, reports)
    for text in (page(reports).text, (reports / "benchmark.md").read_text(encoding="utf-8")):
        assert "12.0 % (95 % 5.0 to 20.0)" in text and "10.0 %" in text and "model minus recogniser" not in text


def test_what_was_not_judged_has_no_number_and_says_how_to_judge(published):
    _, reports, _ = published
    text = page(reports).text
    for task in ("open", "adjustment"):
        assert f"inserter judge {task}" in text
    assert text.count("Not judged.") == 2
    assert (reports / "benchmark.md").read_text().count("not judged") == 2 * len(FORMS)


def test_judged_tasks_show_their_scores_and_every_verdict(tmp_path):
    data, reports = made.write(tmp_path, judged=True)
    build(data, reports)
    found = page(reports)
    assert "Not judged." not in found.text and "IAR, higher is better" in found.text and "1 no usable reply" in found.text
    items = {item["task"]: item["forms"] for item in json.loads(found.data)["items"]}
    assert items["open"]["heard"]["marks"] == ["pass", "fail", "pass"] and items["open"]["heard"]["ok"] is False
    assert items["open"]["read"]["ok"] is True
    assert items["adjustment"]["read"]["marks"] == ["pass", "pass"]
    assert items["adjustment"]["heard"]["marks"] == [
        "fail",
        "fail",
    ]  # the correction is not followed, what was before is
    silent = items["adjustment"]["lm"]  # its judge's reply was no verdict
    assert silent["ok"] is None and silent["marks"] == [] and silent["why"].startswith("no usable reply")
    assert "no verdict" in found.text


def test_a_verdict_is_strict_and_a_loose_pass_is_told_apart():
    row = {
        "task": "closed",
        "key": "k",
        "lang": "en",
        "variant": "standard",
        "prompt": "p",
        "form": "heard",
        "item_id": "i",
        "instruction_id_list": ["punctuation:no_comma"] * 3,
        "kwargs": [{}] * 3,
        "response": "r",
    }
    scored = {**row, "strict": [True, False, False], "loose": [True, True, False], "error": None}
    failed = {**row, "form": "read", "strict": None, "loose": None, "error": "missing argument: letter"}
    forms = browsable([scored, failed], {})[0]["forms"]
    assert forms["heard"] == {"text": "r", "ok": False, "marks": ["pass", "loose", "fail"], "why": None}
    assert forms["read"] == {"text": "r", "ok": None, "marks": [], "why": "missing argument: letter"}


def test_the_published_results_are_whole_and_marked_as_not_comparable(published):
    board = yaml.safe_load((ROOT / "stages/report/leaderboard.yaml").read_text())
    assert all(len(figures) == len(board["columns"]) == 7 for lang in ("en", "cn") for figures in board[lang].values())
    text = page(published[1]).text
    assert "Not comparable with the scores above." in text and "80.72 / 23.28" in text


def test_file_names_are_safe_and_never_shared():
    names = ["plain-en-1", "../../etc", "a/b", "a_b", "a b", "绿茶", "x" * 300]
    made_of = [audio_name(name) for name in names]
    assert len(set(made_of)) == len(names) and all(re.fullmatch(r"[\w-]{1,140}\.flac", n, re.ASCII) for n in made_of)
    assert made_of[0] == "plain-en-1.flac"


def test_the_same_inputs_give_the_same_bytes_and_what_is_gone_leaves_the_folder(tmp_path):
    data, reports = made.write(tmp_path)
    build(data, reports)
    files = {path.relative_to(reports): path.read_bytes() for path in reports.rglob("*") if path.is_file()}
    (reports / "benchmark" / "of-an-older-run.flac").write_bytes(b"x")
    build(data, reports)
    assert {path.relative_to(reports): path.read_bytes() for path in reports.rglob("*") if path.is_file()} == files
    assert (reports / "benchmark.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_fails_leaves_the_last_report_whole(tmp_path):
    data, reports = made.write(tmp_path)
    build(data, reports)
    files = sorted(reports.rglob("*"))
    shard = data / "benchmark" / "audio-00000.tar"
    shard.write_bytes(shard.read_bytes()[:20_000])
    with pytest.raises(InserterError, match="truncated"):
        build(data, reports)
    assert sorted(reports.rglob("*")) == files


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("responses.jsonl", None, "is missing. Run `dvc repro evaluate`"),
        ("responses.jsonl", "{half", "is not JSON lines"),
        ("responses.jsonl", '{"item_id": "a"}', "record 1 lacks form, instruction_id_list, key"),
        ("responses.jsonl", "[]", "record 1 is not an object"),
        ("evaluate.json", "{}", "holds no scores"),
    ],
)
def test_an_input_that_cannot_be_used_is_one_line_with_the_remedy(tmp_path, file, content, says):
    data, reports = made.write(tmp_path)
    path = reports / file if file == "evaluate.json" else data / "evaluate" / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(InserterError, match=re.escape(says)):
        build(data, reports)
    assert not (reports / "benchmark.html").exists()


def test_nothing_answered_is_a_report_that_says_so(tmp_path):
    data, reports = made.write(tmp_path)
    write_jsonl(data / "evaluate" / "responses.jsonl", [])
    write_json(reports / "evaluate.json", {"gap_closed": None, "speechinstructbench": {}, "comparisons": []})
    assert build(data, reports) == {"items": 0, "audio": 0, "without_audio": 0, "rows": 0}
    assert "Nothing was scored." in page(reports).text and "Nothing was scored." in markdown({"speechinstructbench": {}})


def test_the_stage_runs_by_its_name(tmp_path):
    made.write(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    command = [sys.executable, "-m", "stages.report"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "reports" / "report.json") == {
        "items": 33,
        "audio": 32,
        "without_audio": 1,
        "rows": 162,
    }
