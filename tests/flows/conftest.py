"""A toy project to run flows on, and one real Prefect server on loopback for all tests here."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import ROOT
from toy_project import GRAPH, STAGES, Toy

from inserter.run.quiet import quiet


@pytest.fixture(scope="session")
def dvc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `dvc init` makes, to be copied: it takes a second."""
    folder = tmp_path_factory.mktemp("dvc")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], check=True, cwd=folder)
    return folder / ".dvc"


@pytest.fixture
def toy(dvc_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A DVC project of five stages (one, other, two, check@one, gate@one) that have never run."""
    quiet()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / ".site"))
    (tmp_path / "dvc.yaml").write_text(GRAPH)
    (tmp_path / "toy.py").write_text(STAGES)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    project = Toy(tmp_path)
    project.set(one="ok", two="ok", other="ok", gate=True)
    shutil.copytree(dvc_folder, tmp_path / ".dvc")
    return project


@pytest.fixture
def prefect_api(prefect_server: str) -> Iterator[str]:
    """Flows of this process use the server, quietly."""
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

    from flows.server import drain

    with temporary_settings({PREFECT_API_URL: prefect_server, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}):
        yield prefect_server
        drain()
