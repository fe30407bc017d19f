"""Data Docs: what a gate found can be opened in a browser, without a network, and never costs the check."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from gate_tables import CLEAN, edit

from inserter.files import read_json
from inserter.params import Params
from stages.check import docs
from stages.check.stage import check


def pages(part: str) -> dict[str, str]:
    """{table: text} of the pages of validations or expectations."""
    depth = {"validations": 3, "expectations": 0}[part]
    files = sorted((docs.SITE / part).rglob("*.html"))
    name = [file.relative_to(docs.SITE / part).with_suffix("").parts for file in files]
    return {"/".join(parts[: len(parts) - depth]): file.read_text() for parts, file in zip(name, files, strict=True)}


class Links(HTMLParser):
    """Everything that a page loads or leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def test_each_table_has_a_page_that_says_what_failed(workspace: Path, params: Params) -> None:
    edit(CLEAN, lambda rows: rows[2].update(wer=0.9))
    check("verify", params)
    found = pages("validations")
    names = {"verify/clean", "verify/quarantine", "verify/clean-quarantine", "verify/segment-synthesize-verify", "verify/voices"}
    assert set(found) == names == set(pages("expectations"))
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found["verify/clean"]))
    assert f"less than or equal to {params.verify.max_wer}" in words
    assert "1 unexpected values found" in words and "u2" in words and "Failed" in words
    assert "dvc repro verify" in pages("expectations")["verify/clean"]
    index = (docs.SITE / "index.html").read_text()
    assert index.index("verify.clean<") < index.index("verify.quarantine<")  # failures first


def test_a_check_renews_its_own_pages_and_leaves_the_others(workspace: Path, params: Params) -> None:
    check("interleave", params)
    check("verify", params)
    before = sorted(path for path in docs.SITE.rglob("interleave/*/*/*/*"))
    check("verify", params)
    assert sorted(path for path in docs.SITE.rglob("interleave/*/*/*/*")) == before != []
    assert len(list((docs.SITE / "validations/verify/clean").rglob("*.html"))) == 1, "an older run is gone"
    index = (docs.SITE / "index.html").read_text()
    assert "interleave.sequences" in index and "verify.clean" in index


def test_the_site_asks_nothing_of_the_network_and_every_link_leads_somewhere(workspace: Path, params: Params) -> None:
    edit(CLEAN, lambda rows: [row.update(wer=0.9) for row in rows])
    check("verify", params)
    files = sorted(docs.SITE.rglob("*.html"))
    assert len(files) == 11
    for file in files:
        text = file.read_text()
        links = Links()
        links.feed(text)
        assert "<script" not in text
        for link in links.found:
            place, _, anchor = link.partition("#")
            target = (file.parent / place).resolve() if place else file
            assert link == "data:," or target.is_file(), f"{file}: {link}"
            assert not anchor or f'id="{anchor}"' in target.read_text(), f"{file}: {link}"


def test_a_table_that_is_all_wrong_is_not_written_out_again(workspace: Path, params: Params) -> None:
    edit(CLEAN, lambda rows: rows.extend({**rows[0], "utt_id": f"more{n}", "wer": 0.9} for n in range(500)))
    check("verify", params)
    (stored,) = (docs.SITE / "results/verify/clean").rglob("*.json")
    found = [item["result"] for item in read_json(stored)["results"]]
    assert max(result.get("unexpected_count", 0) for result in found) == 500
    assert all(len(result.get(name) or ()) <= docs.SHOWN for result in found for name in docs.LISTS)
    assert stored.stat().st_size < 60_000


def test_a_check_is_valid_without_data_docs(workspace: Path, params: Params, capsys: pytest.CaptureFixture) -> None:
    shutil.rmtree(docs.SITE, ignore_errors=True)
    docs.SITE.parent.mkdir(parents=True, exist_ok=True)
    docs.SITE.write_text("a file where the folder should be")
    assert check("verify", params)["passed"] is True
    lines = [line for line in capsys.readouterr().err.splitlines() if "the Data Docs were not written" in line]
    assert len(lines) == 1 and lines[0].startswith("check@verify: ")
