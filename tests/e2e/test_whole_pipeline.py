"""The real pipeline, small: real text, voice, recogniser, DVC, Prefect, gates and MLflow; only the LM and the encoder are tiny.

It is killed in three stages, run again to its end, run once more (nothing to do), and then asked what another pre-training seed
would run. An undisturbed run in another folder makes the same bytes, up to the fine-tuned model. That an evaluation does so too is
tested in tests/training/test_training_ranks.py.
"""

import re
from pathlib import Path

import pytest
import yaml
from databases import Databases
from small_pipeline import finish, kill_when, project, times

from flows import graph
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

NEVER_THE_SAME = {  # of what a stage writes
    "reports/system": "wall time and memory of the stages",
    "reports/data_docs": "Great Expectations gives each validation a time, and each store an id",
    "reports/register.json": "MLflow gives each run an id",
}
AFTER_SFT = (  # what the undisturbed run leaves out
    "data/evaluate/",
    "reports/evaluate.json",
    "reports/report.json",
    *(f"reports/benchmark{end}" for end in ("/", ".html", ".md", ".png")),
)


@pytest.fixture(scope="module")
def workspace(shared: Path, parameters: dict, databases: Databases) -> Path:
    folder = project(shared / "project", parameters)
    databases.mlflow(folder / "mlflow.db")
    databases.prefect(folder / ".prefect")
    return folder


def locked(workspace: Path) -> dict:
    return yaml.safe_load((workspace / "dvc.lock").read_text())["stages"]


def test_killed_in_three_stages_the_run_resumes(workspace, prefect_server):
    """While it speaks, while it verifies, and in pre-training."""
    shards, blocks, points = (
        f".work/{name}" for name in ("synthesize/*/out/shard-*.json", "verify/*/blocks/*", "pretrain/*/pretrain-checkpoints/step-*")
    )
    finished = {}
    for stage, pattern in (("synthesize", shards), ("verify", blocks), ("pretrain", points)):
        kill_when(workspace, pattern, "run", api=prefect_server)
        assert not (workspace / f"data/{stage}").exists() and not (workspace / f"reports/{stage}.json").exists()
        assert {name: locked(workspace)[name] for name in finished} == finished, "no finished stage is run again"
        finished = locked(workspace)
        if stage == "synthesize":
            spoken = times(workspace, shards)
        else:
            assert spoken and spoken == {path: path.stat().st_mtime_ns for path in spoken}, "no finished shard is spoken again"
    printed = finish(workspace, "run")
    begun = re.search(r"pretrain: .*?\| +(\d+)/8 \[00:00<\?", printed)
    assert begun and int(begun[1]) >= 4, "from the resume point"
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
    assert "up to date" in finish(workspace, "run")
    assert locked(workspace) == before


def made(workspace: Path) -> dict[str, str]:
    """SHA-256 of every file that the stages made, by name."""
    files = (file for part in ("data", "reports") for file in (workspace / part).rglob("*") if file.is_file())
    names = {str(file.relative_to(workspace)): file for file in files}
    return {name: sha256(file) for name, file in names.items() if not name.startswith(tuple(NEVER_THE_SAME))}


def test_an_undisturbed_run_in_another_folder_makes_the_same_bytes(workspace, undisturbed):
    first, second = made(workspace), made(undisturbed)
    assert {name for name in set(first) ^ set(second) if not name.startswith(AFTER_SFT)} == set()
    assert [name for name in second if first[name] != second[name]] == []


def test_another_seed_begins_again_at_pretraining(workspace, monkeypatch):
    """Nothing before pre-training is run again, the warm-up neither. What would be run is asked, and not run."""
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    params["pretrain"]["seed"] += 1
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(workspace)
    assert graph.changes() == {"pretrain": ["pretrain modified"]}
