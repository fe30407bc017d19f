"""Two arms of the real pipeline, small, in working copies of a real commit: what they share is made once, and killed in the
training of the second, the next run resumes from its checkpoint."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from checkout import ROOT
from small_pipeline import SMALL, environment

from inserter.files import read_json

ARMS = """
seeded: [pretrain.seed, sft.seed]
base: {evaluate.forms: [heard, read], benchmark.variants.whisper: false}
groups:
  main:
    about: Small
    arms:
      none: {set: {pretrain.steps: 0}, seeds: [1]}
      asr:
        set: {interleave.mixture: {interleaved: 0.0, speech_tasks: 1.0, text: 0.0}, interleave.transcribe_share: 1.0}
        seeds: [1]
"""
SHARED = ("benchmark", "corpus", "segment", "synthesize", "verify", "warmup")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_lm: Path, tiny_encoder: Path) -> Path:
    folder = tmp_path_factory.mktemp("ablate") / "project"
    folder.mkdir()
    for name in ("flows", "stages", "inserter", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in SMALL.items():
        params[section].update(values)
    params["assets"].update(lm=str(tiny_lm), encoder=str(tiny_encoder))
    params["warmup"].update(steps=6, batch_seconds=20, negatives=50, precision="fp32")
    params["warmup"]["adapter"].update(kind="soft_token", hidden_size=32)
    params["pretrain"].update(steps=30, batch_positions=100, gap_steps=15)
    params["verify"]["second_opinion"] = None
    params["benchmark"]["variants"]["accents"] = []
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "arms.yaml").write_text(ARMS)
    git = ["git", "-c", "user.name=small", "-c", "user.email=small@example.org"]
    dvc = [sys.executable, "-m", "dvc"]
    for command in ([*git, "init", "-q"], [*dvc, "init", "-q"], [*git, "add", "-A"], [*git, "commit", "-qm", "small"]):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def start(folder: Path) -> subprocess.Popen:
    log = (folder / "run.log").open("a")
    command = [sys.executable, "-m", "flows.cli", "ablate", "--arms", "arms.yaml"]
    return subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=log, stderr=log, start_new_session=True)


def test_two_arms_killed_in_the_second_resume(project: Path) -> None:
    log = project / "run.log"
    copy = project / "experiments/ablate-main-asr-s1"
    process = start(project)
    while not list(copy.glob(".work/pretrain/*/pretrain-checkpoints/step-*")):
        assert process.poll() is None, log.read_text()[-4000:]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (row,) = read_json(project / "docs/results.json")
    assert row["arm"] == "none" and row["positions"] == 0
    said = log.read_text()
    for stage in SHARED:
        assert f"[ 2/2] ablate-main-asr-s1: {stage}: from the cache" in said, stage
    states = {path: path.stat().st_mtime_ns for path in project.glob(".work/states/*/*.f16")}

    assert start(project).wait(900) == 0, log.read_text()[-4000:]
    again = log.read_text()[len(said) :]
    assert re.search(r"pretrain: .*\| +[1-9]\d*/30 \[00:00<\?", again) and "| 0/30 [" not in again, "from the resume point"
    assert "ablate-main-none-s1: already recorded" in again
    assert states and states == {path: path.stat().st_mtime_ns for path in states}, "the encoder's states are shared"
    none, asr = sorted(read_json(project / "docs/results.json"), key=lambda found: found["positions"])
    assert asr["positions"] > 0 and asr["hours"] == none["hours"] > 0 and asr["token_error"] == none["token_error"]
    for found in (none, asr):
        assert all(found[name] is not None for name in ("heard", "read", "text_nll_drift", "transcript_nll"))
    assert asr["transcript_nll"] != none["transcript_nll"]
    lines = (project / "docs/RESULTS.md").read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("| ")} > {"none", "asr"}
    assert not copy.exists() and not (project / "mlruns").exists()


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
