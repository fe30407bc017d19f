"""The harness of side-by-side measurements, and what scoring is measured on."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from checkout import ROOT

from flows.bench import __main__ as bench
from flows.bench import compare
from flows.bench.answers import records
from flows.bench.compare import peak
from flows.bench.score import lm_eval_ifeval
from inserter.errors import InserterError
from inserter.scoring.closed import score_record
from inserter.scoring.ifeval import CHECKS


def test_each_pair_is_measured_side_by_side_and_order_alternates() -> None:
    calls: list[str] = []
    found = compare("sum", lambda: calls.append("a"), lambda: calls.append("b"), against="b", pairs=4)
    assert "".join(calls) == "ab" + "abba" * 2
    assert set(found) == {"name", "ratio", "low", "high", "against"}
    assert 0 < found["low"] <= found["ratio"] <= found["high"]


def test_memory_is_what_a_side_takes_at_most_whatever_ran_before_it() -> None:
    last = []

    def take(mib: int) -> None:
        held = [bytes([n % 256]) * 2**16 for n in range(16 * mib)]
        last.append(held[-1])  # the others are freed below it, and glibc keeps them for later

    assert 290 * 2**20 < peak(lambda: take(300)) < 330 * 2**20
    assert 90 * 2**20 < peak(lambda: take(100)) < 130 * 2**20


def test_the_slower_side_gives_a_ratio_above_one() -> None:
    found = compare("sum", lambda: sum(range(10)), lambda: sum(range(1_000_000)), against="a hundred thousand times as many")
    assert found["low"] > 1


def test_what_could_be_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def missing() -> dict:
        raise InserterError("lm-eval is not installed", "Run make bench")

    found = {"name": "sum", "ratio": 2.0, "low": 1.5, "high": 2.5, "against": "the other"}
    monkeypatch.setattr(bench, "REPORTS", tmp_path)
    monkeypatch.setattr(bench, "ENTRIES", {"score": missing, "sum": lambda: found})
    (tmp_path / "bench.json").write_text(json.dumps([{**found, "name": "before"}, {**found, "ratio": 9.0}]))
    monkeypatch.setattr("sys.argv", ["bench"])
    with pytest.raises(SystemExit) as end:
        bench.main()
    assert end.value.code == "bench: score: lm-eval is not installed. Run make bench"
    assert capsys.readouterr().out == "sum: 2.00 (1.50 to 2.50) x the other\n"
    assert json.loads((tmp_path / "bench.json").read_text()) == [{**found, "name": "before"}, found]
    monkeypatch.setattr("sys.argv", ["bench", "scores"])
    with pytest.raises(SystemExit, match=r"no entry scores\. Choose one of: score, sum"):
        bench.main()


def test_a_missing_package_stops_no_other_entry(tmp_path: Path) -> None:
    for name in ("Makefile", "bench.lock"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("requirements.lock", "assets.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    commands = tmp_path / ".venv" / "bin"
    commands.mkdir(parents=True)
    (commands / "python").write_text('#!/bin/sh\n[ "$2" = pip ] && { echo no network; exit 1; }\necho "ran $@"\n')
    (commands / "python").chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    command = ["make", "--no-print-directory", "bench", "ENTRY=score"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "ran -m flows.bench score"
    assert "no network" in done.stderr and "bench.lock cannot be installed now" in done.stderr


def test_the_records_are_varied_and_the_same_each_time() -> None:
    found = records(1500)
    assert found[:200] == records(200)
    assert {kind for record in found for kind in record["instruction_id_list"]} == set(CHECKS)
    responses = [record["response"] for record in found]
    assert len(set(responses)) > 0.99 * len(responses)
    lengths = sorted(len(response.split()) for response in responses)
    assert lengths[75] < 40 and lengths[-75] > 300, "short ones and long ones"
    rows = [score_record(record) for record in found]
    verdicts = [verdict for row in rows for verdict in row["strict"]]
    assert 0.3 < sum(verdicts) / len(verdicts) < 0.9
    assert sum(row["loose"] != row["strict"] for row in rows) > 20


def test_both_sides_do_the_same_work() -> None:
    """The rules differ in details (postscripts, forbidden words), and their language detection is not seeded."""
    process_results = lm_eval_ifeval()
    found = records(400)
    agree = 0
    for record in found:
        theirs = process_results(record, [record["response"]])
        ours = score_record(record)
        agree += ours["strict"] == theirs["inst_level_strict_acc"] and ours["loose"] == theirs["inst_level_loose_acc"]
    assert agree > 0.97 * len(found)
