"""What a finished stage keeps on the disk: its result once, under as many names as there are, and no resume point."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from inserter.files import share
from inserter.run.work import WorkFolder, drop_resume_points

STAGE = """
from pathlib import Path
from inserter.files import write_json
from inserter.run.work import WorkFolder

seed = Path("seed.txt").read_text()
work = WorkFolder("train", {"seed": seed})
work_file = work / "out" / "model.bin"
work_file.parent.mkdir(parents=True, exist_ok=True)
work_file.unlink(missing_ok=True)
work_file.write_text(seed * 1000)
work.publish("out", "data/train")
write_json("reports/train.json", {"characters": len(seed)})
"""
PIPELINE = "stages: {train: {cmd: python train.py, deps: [seed.txt], outs: [data/train], metrics: [reports/train.json]}}\n"


def command(*arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A DVC project with the settings of this one and a stage of one file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", ".dvc/config")
    for name, text in {"train.py": STAGE, "dvc.yaml": PIPELINE, "seed.txt": "first"}.items():
        Path(name).write_text(text)
    command("git", "init", "-q")
    return tmp_path


def names(folder: Path, content: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 1000 and path.read_text() == content]


def test_a_result_is_on_the_disk_once_and_older_ones_come_back(project):
    dvc = (sys.executable, "-m", "dvc")
    command(*dvc, "repro", "-q")
    found = names(project, "first" * 1000)
    assert {path.relative_to(project).parts[0] for path in found} == {".work", "data", ".dvc"}
    assert len({path.stat().st_ino for path in found}) == 1
    lock = Path("dvc.lock").read_text()
    Path("seed.txt").write_text("second")
    command(*dvc, "repro", "-q")
    assert len({path.stat().st_ino for path in names(project, "second" * 1000)}) == 1
    Path("dvc.lock").write_text(lock)
    Path("seed.txt").write_text("first")
    command(*dvc, "checkout", "-q")
    assert Path("data/train/model.bin").read_text() == "first" * 1000 and "up to date" in command(*dvc, "status")


def work(stage: str, published: bool) -> Path:
    """A work folder with a resume point, as a training leaves it; its resume points."""
    folder = WorkFolder(stage, {"steps": 3})
    points = folder / f"{stage}-checkpoints"
    (points / "step-000002").mkdir(parents=True)
    if published:
        (folder / "out").mkdir()
        (folder / "out" / "weights").write_text("learnt")
        folder.publish("out", Path("data") / stage)
    return points


@pytest.mark.parametrize(
    ("published", "running", "kept"),
    [(True, "evaluate", False), (True, "pretrain", True), (False, "evaluate", True)],
    ids=["the next stage runs", "it runs again, not recorded yet", "it is half-done"],
)
def test_resume_points_go_when_another_stage_follows_the_finished_one(tmp_path, monkeypatch, published, running, kept):
    monkeypatch.chdir(tmp_path)
    points = work("pretrain", published)
    drop_resume_points(running)
    assert points.exists() == kept and (not published or Path("data/pretrain/weights").read_text() == "learnt")


def test_a_stage_that_has_begun_anew_keeps_its_resume_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    points = work("sft", published=True)
    WorkFolder("sft", {"steps": 3})  # forced, or killed before DVC's record
    drop_resume_points("evaluate")
    assert points.exists()


def test_only_equal_files_are_shared(tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    for folder, other in ((source, "mine"), (copy, "else")):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "weights").write_text("the same")
        (folder / "settings").write_text(other)
    (source / "more").write_text("only here")
    share(source, copy)
    assert (copy / "deep/weights").samefile(source / "deep/weights")
    assert (copy / "settings").read_text() == "else" and sorted(p.name for p in copy.iterdir()) == ["deep", "settings"]
    shutil.rmtree(source)
    assert (copy / "deep/weights").read_text() == "the same"
