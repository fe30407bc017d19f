"""The real pipeline, small: real text, voice, recogniser, DVC, Prefect, gates and MLflow; only the LM and the encoder are tiny.

It is killed while it speaks, run again to its end, run once more (nothing to do), and then with another pre-training seed.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from checkout import ROOT
from small_pipeline import SMALL, environment, project

from inserter.files import read_json, read_jsonl, sha256
from inserter.params import load

STAGES = [
    "corpus",
    "segment",
    "synthesize",
    "verify",
    "warmup",
    "interleave",
    "pretrain",
    "sft",
    "benchmark",
    "evaluate",
    "report",
    "register",
]
BEGUN_AGAIN_BY_A_SEED = {"pretrain", "sft", "check@sft", "evaluate", "report", "register"}


NEVER_THE_SAME = {  # of what a stage writes
    "reports/system": "wall time and memory of the stages",
    "reports/data_docs": "Great Expectations gives each validation a time, and each store an id",
    "reports/register.json": "MLflow gives each run an id",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, tiny_lm, tiny_encoder) -> Path:
    """A copy of the project with parameters for minutes instead of half an hour."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in SMALL.items():
        params[section].update(values)
    params["assets"].update(lm=str(tiny_lm), encoder=str(tiny_encoder))
    params["benchmark"]["variants"]["accents"] = params["benchmark"]["variants"]["accents"][-1:]
    return project(tmp_path_factory.mktemp("e2e") / "project", params)


def start(workspace: Path, *arguments: str) -> subprocess.Popen:
    log = (workspace / "run.log").open("a")
    command = [sys.executable, "-m", "flows.cli", "run", *arguments]
    return subprocess.Popen(command, cwd=workspace, env=environment(workspace), stdout=log, stderr=log, start_new_session=True)


def finish(workspace: Path) -> str:
    """Run to the end and give what was printed."""
    before = (workspace / "run.log").stat().st_size if (workspace / "run.log").exists() else 0
    process = start(workspace)
    code = process.wait(1500)
    printed = (workspace / "run.log").read_bytes()[before:].decode(errors="replace")
    assert code == 0, printed[-4000:]
    return printed


def left_behind(workspace: Path) -> list[str]:
    """Command lines of processes that work in the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == workspace:
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


def locked(workspace: Path) -> dict:
    return yaml.safe_load((workspace / "dvc.lock").read_text())["stages"]


def kill_when(workspace: Path, pattern: str) -> dict[Path, int]:
    """kill -9 of the whole run as soon as a file fits `pattern`; the files that fit it then, with their times."""
    process = start(workspace)
    while not list(workspace.glob(pattern)):
        assert process.poll() is None, (workspace / "run.log").read_text()[-4000:]
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while left_behind(workspace) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left_behind(workspace) == [], "no orphan"
    return {path: path.stat().st_mtime_ns for path in workspace.glob(pattern)}


def test_killed_while_it_speaks_the_run_resumes(workspace):
    spoken = kill_when(workspace, ".work/synthesize/*/rows/shard-*.json")
    assert not (workspace / "data/synthesize").exists() and not (workspace / "reports/synthesize.json").exists()
    finished = locked(workspace)
    finish(workspace)
    assert spoken and spoken == {f: f.stat().st_mtime_ns for f in spoken}, "no finished shard is spoken again"
    assert {name: locked(workspace)[name] for name in finished} == finished


def test_every_stage_left_its_report_and_the_counts_reconcile(workspace):
    reports = {name: read_json(workspace / f"reports/{name}.json") for name in STAGES}
    verify, heldout = reports["verify"], reports["interleave"]["heldout_contexts"]
    spans = reports["interleave"]["spans"]
    twins = reports["synthesize"]["unseen"]  # held-out contexts once more, in a voice that training does not hear
    assert 0 < reports["interleave"]["heldout_in_unseen_voice"] <= twins
    assert verify["in"] == verify["clean"] + sum(verify["quarantined"].values()) == spans["all"] + twins
    assert spans["clean"] == spans["in_sequences"] + spans["in_heldout"] + spans["in_lexicon"] + spans["not_used"]
    assert spans["in_lexicon"] > 0
    assert verify["clean"] - twins <= spans["clean"] <= verify["clean"]
    assert set(reports["evaluate"]["continuation"]) == {
        "heard_own",
        "heard_other",
        "cascade_own",
        "cascade_other",
        "read_own",
        "read_other",
        "absent",
    }
    assert reports["evaluate"]["documents"] == heldout
    assert {reports[name]["precision"] for name in ("pretrain", "sft", "evaluate")} == {"fp32"}
    assert reports["warmup"]["precision"] in ("bf16", "fp32"), "not `auto`, but what it became"
    variants = reports["evaluate"]["speechinstructbench"]["closed"]["en"]
    assert {"standard", "background", "paralinguistics", "disfluency"} <= set(variants)
    for variant in variants.values():
        for form in ("heard", "read", "cascade", "lm", "asr_lm"):
            assert set(variant[form]["mean"]) == {"prompt", "instruction"} and variant[form]["n_prompts"] == 25
            assert len(variant[form]["interval"]["mean"]["instruction"]) == 2
    assert all(read_json(path)["passed"] for path in workspace.glob("data/gates/*.json"))
    rows = list(read_jsonl(workspace / "data/evaluate/responses.jsonl"))
    assert len(rows) == reports["evaluate"]["responses"] == 5 * reports["evaluate"]["items"]["answered"]


def test_nothing_is_trained_on_what_is_held_out(workspace):
    import pyarrow.parquet as pq

    held = set(pq.read_table(workspace / "data/interleave/heldout.parquet")["doc_id"].to_pylist())
    taught = set(pq.read_table(workspace / "data/interleave/sequences.parquet")["doc_id"].to_pylist())
    assert held and not held & taught
    asked = {row["prompt"] for row in read_jsonl(workspace / "data/benchmark/prompts.jsonl")}
    assert not asked & set(pq.read_table(workspace / "data/sft/pairs.parquet")["prompt"].to_pylist())


def test_a_version_is_registered_with_its_lineage(workspace):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
    name = load(workspace / "params.yaml").register_.model
    version = client.get_model_version_by_alias(name, "challenger")
    assert version.tags["gate.verify"] == "passed" and "dvc.lock" in version.tags


def test_run_again_the_command_says_that_nothing_is_to_do(workspace):
    before = locked(workspace)
    assert "up to date" in finish(workspace)
    assert locked(workspace) == before


def made(workspace: Path) -> dict[str, str]:
    """SHA-256 of every file that the stages made, by name."""
    files = (file for part in ("data", "reports") for file in (workspace / part).rglob("*") if file.is_file())
    names = {str(file.relative_to(workspace)): file for file in files}
    return {name: sha256(file) for name, file in names.items() if not name.startswith(tuple(NEVER_THE_SAME))}


def test_every_stage_gives_the_same_bytes_in_another_folder(workspace, tmp_path_factory):
    """Not killed, by `dvc repro` alone, with one worker in place of one per core, and under another hash seed."""
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    for section in params.values():
        if isinstance(section, dict) and "workers" in section:
            section["workers"] = 1
    other = project(tmp_path_factory.mktemp("elsewhere") / "another name", params)
    command = [sys.executable, "-m", "dvc", "repro", "-q", "report", "listen"]
    subprocess.run(command, cwd=other, env=environment(other) | {"PYTHONHASHSEED": "7"}, check=True, timeout=2400)
    first, second = made(workspace), made(other)
    assert set(first) == set(second)
    assert [name for name in second if first[name] != second[name]] == []


def test_another_seed_killed_in_pretraining_reruns_it_and_what_depends_on_it(workspace):
    """Nothing before pre-training is touched, the warm-up neither."""
    before = locked(workspace)
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    params["pretrain"]["seed"] += 1
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.rmtree(workspace / ".work/pretrain")
    kill_when(workspace, ".work/pretrain/*/pretrain-checkpoints/step-*")
    finish(workspace)
    after = locked(workspace)
    assert {name for name in after if after[name] != before[name]} == BEGUN_AGAIN_BY_A_SEED
