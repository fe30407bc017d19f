"""lmms-eval's own command line runs our tasks over the data set that `inserter dataset` writes, with its dummy model."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT
from judge_server import JudgeServer, every
from stranger import benchmark, rows_of

from inserter.answering.dataset import write
from inserter.scoring.closed import aggregate, score_record

pytestmark = pytest.mark.skipif(importlib.util.find_spec("lmms_eval") is None, reason="lmms-eval is in doors.lock")
ADJUSTED = '{"follow_after_adjust": "YES", "follow_before_adjust": "NO", "after_adjust_content_correct": "YES"}'
RESPONSE = "one two three"


def run(folder: Path, *tasks: str, limit: int, **more: str) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "lmms_eval", "--model", "dummy", "--model_args", f"response={RESPONSE}"]
    command += ["--tasks", ",".join(tasks), "--include_path", str(ROOT / "integrations" / "lmms_eval"), "--limit", str(limit)]
    command += ["--output_path", str(folder / "results"), "--log_samples"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "cache"), "NO_PROXY": "127.0.0.1"}
    environment = os.environ | offline | {"PYTHONPATH": str(ROOT)} | more
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    (report,) = (folder / "results").rglob("*results.json")
    return json.loads(report.read_text())["results"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(benchmark(tmp_path / "made", copies=2), tmp_path / "spoken-instructions", {"heart": "Apache-2.0"}, ours=True)
    return tmp_path


def test_closed_items_have_the_scores_of_inserter(folder: Path) -> None:
    found = run(folder, "speechinstructbench_closed", limit=6)["speechinstructbench_closed"]
    (samples,) = (folder / "results").rglob("*samples_speechinstructbench_closed.jsonl")
    rows = rows_of(samples)
    assert len(rows) == 6 and {row["filtered_resps"] for row in rows} == {RESPONSE}
    items = {row["item_id"]: row for row in _items(folder)}
    wanted = aggregate(score_record({**items[row["instruction"]["id"]], "response": RESPONSE}) for row in rows)
    assert found["instruction,none"] == wanted["mean-instruction"] and found["prompt,none"] == wanted["mean-prompt"]


def _items(folder: Path) -> list[dict]:
    import pyarrow.parquet as pq

    return pq.read_table(folder / "spoken-instructions" / "data", columns=["item_id", "instruction_id_list", "kwargs"]).to_pylist()


def test_open_and_adjustment_items_are_judged(folder: Path) -> None:
    with JudgeServer(usual=lambda r: every(ADJUSTED if "follow_after_adjust" in r.text else '["YES", "NO", "YES"]')(r)) as server:
        judge = {"INSERTER_JUDGE_BASE_URL": server.url, "INSERTER_JUDGE_MODEL": "judge-1"}
        found = run(folder, "speechinstructbench_open", "speechinstructbench_adjustment", limit=2, **judge)
    assert found["speechinstructbench_open"]["instruction,none"] == pytest.approx(2 / 3)
    assert found["speechinstructbench_open"]["prompt,none"] == 0
    assert (found["speechinstructbench_adjustment"]["iar,none"], found["speechinstructbench_adjustment"]["ecr,none"]) == (1, 0)
    assert all(RESPONSE in request.text for request in server.requests), "the judge saw the model's answers"
