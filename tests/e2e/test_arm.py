"""An arm of the real pipeline, small, in a working copy of a real commit: it shares what an earlier run has made. Killed in its
training, the next run resumes from its checkpoint."""

import re
from pathlib import Path

import pytest
from databases import Databases
from small_pipeline import finish, kill_when, times

from inserter.files import read_json

ARMS = """
seeded: [pretrain.seed, sft.seed]
base: {evaluate.forms: [heard, read], pretrain.steps: 30, pretrain.batch_positions: 100, pretrain.gap_steps: 15}
groups:
  main:
    about: Small
    arms:
      asr:
        set: {interleave.mixture: {interleaved: 0.0, speech_tasks: 1.0, text: 0.0}, interleave.transcribe_share: 1.0}
        seeds: [1]
"""
SHARED = ("benchmark", "corpus", "segment", "synthesize", "verify", "warmup")


@pytest.fixture
def project(undisturbed: Path, databases: Databases) -> Path:
    if not (database := undisturbed / "mlflow.db").exists():
        databases.mlflow(database)
    return undisturbed


def test_an_arm_killed_in_training_resumes(project: Path, prefect_server: str) -> None:
    """What the stages made before is taken from the cache."""
    (project / "arms.yaml").write_text(ARMS)
    copy = project / "experiments/ablate-main-asr-s1"
    points = f"{copy.relative_to(project)}/.work/pretrain/*/pretrain-checkpoints/step-*"
    said = kill_when(project, points, "ablate", "--arms", "arms.yaml", api=prefect_server)
    for stage in SHARED:
        assert f"[ 1/1] ablate-main-asr-s1: {stage}: from the cache" in said, stage
    assert not (project / "docs/results.json").exists()
    states = times(project, ".work/states/*/*.f16")

    again = finish(project, "ablate", "--arms", "arms.yaml", api=prefect_server)
    first = re.search(r"pretrain: .*?\| +(\d+)/30 \[00:00<\?", again)
    assert first and int(first[1]) > 0, "from the resume point"
    assert states and states == {path: path.stat().st_mtime_ns for path in states}, "the encoder's states are shared"
    (asr,) = read_json(project / "docs/results.json")
    assert asr["positions"] > 0 and asr["hours"] > 0
    assert all(asr[name] is not None for name in ("heard", "read", "text_nll_drift", "token_error", "transcript_nll"))
    lines = (project / "docs/RESULTS.md").read_text().splitlines()
    assert "asr" in {line.split()[1] for line in lines if line.startswith("| ")}
    assert not copy.exists()


def test_an_arm_s_run_has_its_curves_gap_memory_and_clips_with_answers(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    monkeypatch.chdir(project)  # the artifacts are found from there, wherever it is
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    where = client.get_experiment_by_name("inserter-ablate")
    assert where
    (run,) = client.search_runs([where.experiment_id], "tags.arm = 'asr'")
    assert len(client.get_metric_history(run.info.run_id, "pretrain/loss")) == 30
    assert [m.step for m in client.get_metric_history(run.info.run_id, "pretrain-gap/heard_own")] == [0, 15, 30]
    assert run.data.metrics["system/pretrain/positions_a_second"] > 0 and run.data.metrics["system/pretrain/peak_rss_mb"] > 0
    assert [file.path for file in client.list_artifacts(run.info.run_id, "audio")]
