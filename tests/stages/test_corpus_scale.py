"""The stage at work: killed and run again, on any number of processes, from compressed files, with a small sample of much text."""

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from checkout import ROOT
from corpus_texts import enter, params, prose, reconciles, rows, source

from inserter.files import write_jsonl
from inserter.params import Source
from stages.corpus import spool
from stages.corpus.sources import read
from stages.corpus.stage import main

DOCUMENTS = Path("data/corpus/documents-00000.parquet")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return enter(tmp_path)


def test_killed_and_run_again_it_ends_with_the_same_bytes(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl("text/a.jsonl", [{"text": prose(f"a{n}", 6)} for n in range(6_500)])
    shown = params(source(), words=20_000)
    (workspace / "params.yaml").write_text(yaml.safe_dump(shown.model_dump(mode="json", by_alias=True)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "stages.corpus"], env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(workspace.glob(".work/corpus/*/attempt-0/parts/*.json")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = list(workspace.glob(".work/corpus/*/attempt-0/parts/000-*.json"))
    assert made and not DOCUMENTS.exists()
    resumed = main(shown)
    first = DOCUMENTS.read_bytes()
    shutil.rmtree(".work")
    monkeypatch.setattr(spool, "PART_RAWS", 700)  # other parts, so other bounds while it runs
    assert main(params(source(), words=20_000, workers=2)) == resumed
    assert DOCUMENTS.read_bytes() == first
    reconciles(resumed)


def test_more_is_read_when_copies_fill_the_first_sample(workspace: Path) -> None:
    texts = [prose(f"c{n}", 6) for n in range(60)]
    write_jsonl("text/a.jsonl", [{"text": text} for text in texts for _ in range(5)])
    metrics = main(params(source(), words=4_000))
    reconciles(metrics)
    assert metrics["words"] >= 4_000
    assert len({row["text"] for row in rows()}) == len(rows())


def test_more_is_read_when_copies_leave_too_little_to_hold_out(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    texts = [prose(f"c{n}", 6) for n in range(60)]
    write_jsonl("text/a.jsonl", [{"text": text} for text in texts for _ in range(10)])
    metrics = main(params(source(), words=2_000, max_words=70, heldout_documents=12))
    reconciles(metrics)
    assert "too little held-out text: reading more documents" in capfd.readouterr().err
    assert metrics["splits"]["heldout"]["documents"] == 12 and metrics["words"] >= 2_000
    held, taught = ({row["text"] for row in rows() if row["split"] == split} for split in ("heldout", "train"))
    assert held and not held & taught


def test_compressed_files_are_read_line_by_line_and_a_limit_is_kept(workspace: Path) -> None:
    lines = "".join(f'{{"text": "{n} words"}}\n' for n in range(5))
    Path("text/a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    Path("text/b.jsonl.zst").write_bytes(pa.compress(lines.encode(), codec="zstd", asbytes=True))
    Path("text/c.txt.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfplain"))
    here = Source(name="s", kind="local", path="text")
    assert [raw.text for raw in read(here)] == [f"{n} words" for n in range(5)] * 2 + ["plain"]
    limited = here.model_copy(update={"limit": 7})
    assert [raw.name for raw in read(limited, skip=4)] == ["a.jsonl.gz:5", "b.jsonl.zst:1", "b.jsonl.zst:2"]
    Path("text/d.jsonl.gz").write_bytes(gzip.compress(lines.encode())[:-12])
    assert [raw.error for raw in read(here) if raw.error], "cut short: what can be read is, the rest is counted"


def test_a_large_text_file_is_read_in_pieces(workspace: Path) -> None:
    paragraph = prose("big", 40) + "\n\n"
    Path("text/big.txt").write_text(paragraph * 1000)
    found = list(read(Source(name="s", kind="local", path="text/big.txt")))
    assert len(found) > 1 and "".join(raw.text for raw in found) == paragraph * 1000
    assert [raw.name for raw in found][:2] == ["big.txt", "big.txt#2"]


def test_rows_carry_weight_licence_and_language(workspace: Path) -> None:
    write_jsonl("text/a.jsonl", [{"text": prose(f"r{n}", 5)} for n in range(12)])
    main(params(source(weight=2.5)))
    assert {(row["weight"], row["license"], row["language"]) for row in rows()} == {(2.5, "CC0", "en")}


def test_finished_work_is_published_again_without_being_done_again(workspace: Path) -> None:
    write_jsonl("text/a.jsonl", [{"text": prose(f"f{n}", 5)} for n in range(12)])
    first = main(params(source()))
    shutil.rmtree("data/corpus")
    assert main(params(source())) == first and DOCUMENTS.exists()
    assert not list(workspace.glob(".work/corpus/*/attempt-*")), "candidates are not kept"
