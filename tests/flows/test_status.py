"""`inserter status` beside a training that DVC really runs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from training_runs import workspace

from flows.status import status
from flows.summary import duration
from inserter.run.curve import read_curve

DVC = {"stages": {name: {"cmd": f"{sys.executable} -m stages.{name}"} for name in ("warmup", "pretrain")}}


def rows(folder: Path) -> list[dict[str, float]]:
    return [row for path in folder.glob(".work/warmup/*/warmup-curve.csv") for row in read_curve(path)]


def shown(capsys: pytest.CaptureFixture) -> dict[str, str]:
    capsys.readouterr()
    status()
    return {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}


def test_a_running_training_is_shown_with_its_step_loss_speed_and_time_left(
    tiny_lm, tiny_encoder, dvc_folder, tmp_path, monkeypatch, capsys
):
    folder = workspace(tmp_path / "w", tiny_lm, tiny_encoder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["warmup"]["steps"] = 100_000
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "dvc.yaml").write_text(yaml.safe_dump(DVC))
    shutil.copytree(dvc_folder, folder / ".dvc")
    monkeypatch.chdir(folder)
    assert "never run" in shown(capsys)["warmup"]
    log = (folder / "log").open("w")
    process = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "warmup"], stdout=log, stderr=log, start_new_session=True)
    try:
        while len(rows(folder)) < 3:
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGSTOP)  # it runs still, and the file stands
        done = rows(folder)
        recent = done[-20:]
        seconds = sum(row["seconds"] for row in recent)
        speed = sum(row["positions"] for row in recent) / seconds
        left = duration(seconds / len(recent) * (100_000 - len(done)))
        told = f"running: step {len(done)} of 100000, loss {done[-1]['loss']:.3f}, {speed:,.0f} positions/s, {left} left"
        assert f"warmup    {told}" in shown(capsys)["warmup"] and "never run" in shown(capsys)["pretrain"]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert "never run" in shown(capsys)["warmup"], "the lock's file stays behind"
