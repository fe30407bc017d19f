"""The small pipeline, run once for all test processes: its parameters and an undisturbed run of it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import ROOT
from filelock import FileLock
from small_pipeline import SMALL, environment, project


@pytest.fixture(scope="session")
def parameters(shared: Path, tiny_lm: Path, tiny_encoder: Path) -> dict:
    """Parameters for minutes instead of half an hour, with the same models in every test process."""
    file = shared / "parameters.yaml"
    with FileLock(f"{file}.lock"):
        if not file.exists():
            params = yaml.safe_load((ROOT / "params.yaml").read_text())
            for section, values in SMALL.items():
                params[section].update(values)
            params["assets"].update(lm=str(tiny_lm), encoder=str(tiny_encoder))
            params["benchmark"]["variants"]["accents"] = params["benchmark"]["variants"]["accents"][-1:]
            file.write_text(yaml.safe_dump(params))
    return yaml.safe_load(file.read_text())


@pytest.fixture(scope="session")
def undisturbed(shared: Path, parameters: dict) -> Path:
    """Run up to fine-tuning by `dvc repro` alone, with one worker in place of one per core, and under another hash seed."""
    params = {name: {**s, "workers": 1} if isinstance(s, dict) and "workers" in s else s for name, s in parameters.items()}
    folder = shared / "another name"
    with FileLock(shared / "undisturbed.lock"):
        if not folder.exists():
            project(folder, params)
            command = [sys.executable, "-m", "dvc", "repro", "-q", "gate@sft", "gate@benchmark", "listen"]
            subprocess.run(command, cwd=folder, env=environment(folder) | {"PYTHONHASHSEED": "7"}, check=True, timeout=2400)
    return folder
