"""The stage as a whole: the same bytes however it is run, and a report that adds up."""

import csv
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml
from checkout import ROOT
from segment_texts import CHINESE, SENTENCE, document

from inserter.errors import InserterError
from inserter.files import read_table, write_table
from inserter.params import Params
from inserter.tables import DOCUMENTS, SPANS
from stages.segment import stage
from stages.segment.stage import main

SPOKEN = Path("data/segment/spans.parquet")


def texts(count: int) -> dict[str, str]:
    english = {f"s-{n:03d}": f"In {1800 + n} it cost ${n + 2}. {SENTENCE * 6}".strip() for n in range(count)}
    return {name: text if n % 4 else f"{1900 + n}年花了￥{n + 2}。{CHINESE * 5}" for n, (name, text) in enumerate(english.items())}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Forty documents, every fourth in Chinese, eight of them held out; blocks of seven."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "BLOCK", 7)
    found = texts(40)
    rows = [
        document(name, text, "heldout" if name < "s-008" else "train", "en" if n % 4 else "zh")
        for n, (name, text) in enumerate(found.items())
    ]
    write_table("data/corpus/documents-00000.parquet", rows[:25], DOCUMENTS)
    write_table("data/corpus/documents-00001.parquet", rows[25:], DOCUMENTS)
    return found


def params(**changes: object) -> Params:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["segment"] |= {"workers": 1, **changes}
    return Params.model_validate(raw)


def test_spans_can_be_found_again_and_the_report_adds_up(workspace: dict[str, str]) -> None:
    metrics = main(params())
    rows = read_table(SPOKEN, SPANS)
    assert all(row["written"] == workspace[row["doc_id"]][row["start"] : row["end"]] for row in rows)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", row["utt_id"]) for row in rows)
    assert len({row["utt_id"] for row in rows}) == len(rows)
    assert [row["doc_id"] for row in rows] == sorted(row["doc_id"] for row in rows), "in the order of the documents"
    assert not any(re.search(r"[\d$￥]", row["spoken"]) for row in rows)
    assert Counter(row["language"] for row in rows) == metrics["spans"]["languages"]
    heldout = [row for row in rows if row["split"] == "heldout"]
    assert Counter(row["doc_id"] for row in heldout) == {f"s-{n:03d}": 1 for n in range(8)}
    assert all(row["level"] == "context" and row["start"] == 0 for row in heldout)
    assert metrics["spans"]["in"] == metrics["spans"]["kept"] + sum(metrics["spans"]["dropped"].values())
    assert metrics["documents"]["in"] == metrics["documents"]["kept"] + sum(metrics["documents"]["without_span"].values()) == 40
    for name, level in metrics["levels"].items():
        mine = [row for row in rows if row["level"] == name]
        assert level["spans"] == len(mine) == sum(level["span_words"]["histogram"].values())
        assert level["share"] == level["words_spoken"] / level["words"]
        assert sum(level["switches"]["histogram"].values()) == level["documents"]
    assert metrics["spans"]["kept"] == sum(level["spans"] for level in metrics["levels"].values())
    assert metrics["levels"]["context"]["switches"] == {"mean": 1.0, "histogram": {"01": 8}}


def test_lengths_are_a_plot(workspace: dict[str, str]) -> None:
    metrics = main(params())
    with Path("reports/plots/segment.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["level", "length", "spans", "share"]
    for name, level in metrics["levels"].items():
        mine = [row for row in rows if row["level"] == name]
        assert sum(int(row["spans"]) for row in mine) == level["spans"]
        assert sum(float(row["share"]) for row in mine) == pytest.approx(1, abs=1e-4)
    Path("dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text())
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], check=True, capture_output=True)
    copytree(ROOT / ".dvc" / "plots", ".dvc/plots")
    show = [sys.executable, "-m", "dvc", "plots", "show", "reports/plots/segment.csv", "-o", "page"]
    done = subprocess.run(show, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = Path("page/index.html").read_text()
    assert '"field": "level"' in page and '"words in a span"' in page and "DVC_METRIC" not in page


def test_same_bytes_with_any_number_of_workers(workspace: dict[str, str]) -> None:
    results = set()
    for workers in (1, 2, 3):
        for half_done in Path(".work").rglob("*.json"):
            half_done.unlink()
        metrics = main(params(workers=workers))
        results.add((SPOKEN.read_bytes(), Path("reports/plots/segment.csv").read_bytes(), repr(metrics)))
    assert len(results) == 1


def test_resumes_where_it_was_killed(workspace: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = main(params())
    before = SPOKEN.read_bytes()
    blocks = sorted(Path(".work/segment").rglob("blocks/*.json"))
    assert len(blocks) == 7  # of 25 + 15 documents in blocks of 7
    blocks[2].unlink()
    blocks[5].unlink()
    again: list[str] = []
    whole_segment = stage.segment

    def noted(doc: dict, *rest: Any) -> list[dict]:
        again.append(doc["doc_id"])
        return whole_segment(doc, *rest)

    monkeypatch.setattr(stage, "segment", noted)
    assert main(params()) == whole and SPOKEN.read_bytes() == before
    assert again == [f"s-{n:03d}" for n in (*range(14, 21), *range(32, 39))], "only what was not done"
    again.clear()
    main(params(seed=2))
    assert len(again) == 40, "other parameters, other work"


def test_a_corpus_with_nothing_to_say_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_table("data/corpus/documents-00000.parquet", [document("d", "*** " * 100)], DOCUMENTS)
    with pytest.raises(InserterError, match="no span of the corpus can be spoken"):
        main(params())
    assert not SPOKEN.exists()
