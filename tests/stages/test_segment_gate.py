"""The gate after segment: what the stage itself writes passes; a span that is not what it says is named."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from checkout import ROOT
from gate_tables import failing
from segment_texts import CHINESE, SENTENCE, document

from inserter.files import read_batches, read_json, read_table, write_json, write_table
from inserter.params import Params, load
from inserter.tables import DOCUMENTS, SPANS
from stages.check.stage import check
from stages.segment.stage import main

DOCS, SPANNED = "data/corpus/documents-00000.parquet", "data/segment/spans.parquet"
UNIQUE, SET = "expect_column_values_to_be_unique", "expect_column_values_to_be_in_set"
BETWEEN, MEAN = "expect_column_values_to_be_between", "expect_column_mean_to_be_between"


@pytest.fixture(scope="module")
def params() -> Params:
    loaded = load(ROOT / "params.yaml")
    corpus = loaded.corpus.model_copy(update={"languages": ("en", "zh")})
    segment = loaded.segment.model_copy(update={"workers": 1})
    return loaded.model_copy(update={"corpus": corpus, "segment": segment})


@pytest.fixture(scope="module")
def made(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that the stage has run in: 80 documents, a quarter of them Chinese, ten held out."""
    folder = tmp_path_factory.mktemp("segmented")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        rows = [
            document(f"d{n:02d}", SENTENCE * 9 if n % 4 else CHINESE * 7, "heldout" if n < 10 else "train", "en" if n % 4 else "zh")
            for n in range(80)
        ]
        write_table(DOCS, rows, DOCUMENTS)
        write_json("reports/segment.json", main(params))
    return folder


@pytest.fixture
def workspace(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for path in (DOCS, SPANNED, "reports/segment.json"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes((made / path).read_bytes())
    return tmp_path


def edit(change: Callable[[list[dict]], object]) -> list[dict]:
    rows = read_table(SPANNED, SPANS)
    change(rows)
    write_table(SPANNED, rows, SPANS)
    return rows


def failed(params: Params) -> dict[tuple[str, str, str | None], list[str]]:
    return {(found["table"], found["expectation"], found["column"]): found["first_ids"] for found in failing("segment", params)}


def test_what_the_stage_writes_passes(workspace: Path, params: Params) -> None:
    report = check("segment", params)
    assert report["passed"], [found for found in report["expectations"] if not found["passed"]]
    assert report["rows"] == len(read_table(SPANNED, SPANS))
    assert {found["table"] for found in report["expectations"]} == {"spans", "word", "sentence", "context", "shares", "counts"}


def test_a_span_that_is_not_what_it_says_is_named(workspace: Path, params: Params) -> None:
    before = read_table(SPANNED, SPANS)
    words = [n for n, row in enumerate(before) if row["level"] == "word" and row["language"] == "en"]
    a, b, c, d, e, f, g = words[:14:2]

    def spoil(rows: list[dict]) -> None:
        rows[a]["start"] += 1
        rows[a]["written"] = rows[a]["written"][1:]  # as it stands in the document, but a word is cut
        rows[b]["written"] = "something else altogether, of enough words"
        rows[c]["spoken"] = "it cost 5 dollars"
        rows[d]["spoken"] = "..."
        rows[e]["spoken"] = "word " * 90
        rows[f]["language"] = "fr"
        rows[g]["split"] = "heldout"

    ids = [row["utt_id"] for row in edit(spoil)]
    found = failed(params)
    assert found["spans", SET, "whole"] == [ids[a]]
    assert found["spans", SET, "faithful"] == [ids[b]]
    assert found["spans", BETWEEN, "unread"] == [ids[c]]
    assert found["spans", SET, "speakable"] == [ids[d]]
    assert found["spans", SET, "fits"] == [ids[e]]
    assert found["spans", SET, "language"] == [ids[f]]
    assert found["spans", SET, "split"] == [ids[g]]
    assert len(found) == 7


def test_overlapping_and_repeated_spans_are_named(workspace: Path, params: Params) -> None:
    rows = read_table(SPANNED, SPANS)
    again = next(n for n, row in enumerate(rows) if row["level"] == "sentence")
    edit(lambda found: found.insert(again, dict(found[again])))
    found = failed(params)
    assert found["spans", UNIQUE, "utt_id"] == found["spans", SET, "apart"] == [rows[again]["utt_id"]]
    assert found["counts", BETWEEN, "lost"] == ["reports/segment.json"]


def test_short_runs_and_long_sentences_are_named(workspace: Path, params: Params) -> None:
    tight = params.segment.model_copy(
        update={
            "word": params.segment.word.model_copy(update={"min_words": 9}),
            "sentence": params.segment.sentence.model_copy(update={"max_words": 12}),
            "context_words": 50,
        }
    )
    found = failed(params.model_copy(update={"segment": tight}))
    assert {table for table, expectation, column in found if (expectation, column) == (BETWEEN, "words")} == {
        "word",
        "sentence",
        "context",
    }


def test_too_few_words_spoken_are_noticed(workspace: Path, params: Params) -> None:
    edit(lambda rows: rows.__setitem__(slice(None), [row for n, row in enumerate(rows) if row["level"] != "word" or n % 2]))
    found = failed(params)
    assert ("shares", MEAN, "word") in found and ("shares", MEAN, "sentence") not in found
    assert found["counts", BETWEEN, "lost"] == ["reports/segment.json"]


def test_another_corpus_than_the_spans_come_from_is_noticed(workspace: Path, params: Params) -> None:
    documents = read_table(DOCS, DOCUMENTS)
    write_table(DOCS, documents[1:], DOCUMENTS)
    found = failed(params)
    assert found["spans", SET, "faithful"] == [row["utt_id"] for row in read_table(SPANNED, SPANS) if row["doc_id"] == "d00"]


def test_spans_out_of_order_are_looked_up_all_the_same(workspace: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.check.segment.read_batches", partial(read_batches, size=7))
    edit(lambda rows: rows.sort(key=lambda row: (row["doc_id"][::-1], row["start"])))
    assert check("segment", params)["passed"]


def test_a_report_without_counts_is_refused(workspace: Path, params: Params) -> None:
    report = read_json("reports/segment.json")
    write_json("reports/segment.json", {"documents": report["documents"]})
    found = failed(params)
    assert ("counts", "expect_column_values_to_not_be_null", "lost") in found
    assert ("shares", MEAN, "word") in found
