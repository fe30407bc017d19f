"""A checkout is moved, renamed or copied: its registry goes with it, and the other one is not touched."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from inserter.errors import InserterError
from inserter.files import sha256
from inserter.params import Register, load
from inserter.registry.live import LiveRun
from inserter.registry.place import DERIVED, database, local_file
from inserter.registry.tracking import connect, experiment_id
from inserter.run.runner import say


@pytest.fixture
def register(monkeypatch) -> Register:
    monkeypatch.chdir(ROOT)
    return load().register_


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, str]:
    """A folder with a registry in it, and the run whose note.txt is there: MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        register = load().register_
        patch.chdir(folder)
        return folder, note(register, "made here")


@pytest.fixture
def checkout(made, tmp_path, monkeypatch) -> tuple[Path, str]:
    """A checkout of its own, the current folder: `made` was copied there."""
    folder = tmp_path / "first place"
    shutil.copytree(made[0], folder)
    monkeypatch.chdir(folder)
    return folder, made[1]


def note(register: Register, text: str) -> str:
    """A new run with a file and a model version, below the current folder: its id."""
    client = connect(register)
    run = client.create_run(experiment_id(client, register)).info
    client.log_text(run.run_id, text, "note.txt")
    if not client.search_registered_models():
        client.create_registered_model(register.model)
    client.create_model_version(register.model, run.artifact_uri, run.run_id)
    return run.run_id


def read(register: Register, run: str) -> str:
    return Path(connect(register).download_artifacts(run, "note.txt")).read_text()


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def locations(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        return {row[0] for table, column in DERIVED for row in connection.execute(f"SELECT {column} FROM {table}") if row[0]}


@pytest.mark.parametrize("name", ["blank between", "Große Prüfung 漢字", "c# and 7%", "deeper/still/here"])
def test_a_moved_checkout_reads_and_continues(register, checkout, monkeypatch, name):
    folder, run = checkout
    place = folder.parent / name
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(place)
    monkeypatch.chdir(place)
    assert read(register, run) == "made here"
    assert read(register, note(register, "made there")) == "made there"
    assert not folder.exists() and len(list(place.rglob("note.txt"))) == 2


def test_a_copy_and_its_original_leave_each_other_alone(register, checkout, monkeypatch):
    folder, run = checkout
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    before = contents(folder)
    monkeypatch.chdir(copy)
    later = note(register, "of the copy")
    assert (read(register, run), read(register, later)) == ("made here", "of the copy")
    assert contents(folder) == before
    monkeypatch.chdir(folder)
    assert len(connect(register).search_model_versions()) == 1


def test_a_checkout_that_is_reached_by_a_link_keeps_nothing_of_the_link(register, checkout, monkeypatch):
    folder, run = checkout
    link = folder.with_name("link")
    link.symlink_to(folder)
    monkeypatch.chdir(link)
    later = note(register, "by the link")
    link.unlink()
    monkeypatch.chdir(folder)
    assert (read(register, run), read(register, later)) == ("made here", "by the link")


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_registry_with_old_paths_is_corrected_once(register, checkout, scheme):
    """As versions before this one left it: absolute, of a folder that is no more. What lies elsewhere stays as it is."""
    _, run = checkout
    with sqlite3.connect("mlflow.db") as connection:
        for table, column in DERIVED:
            connection.execute(f"UPDATE {table} SET {column} = ? || {column}", (f"{scheme}/an/old/place/",))
    connect(register).create_experiment("elsewhere", artifact_location="s3://bucket/mlartifacts-of-others")
    assert not [place for place in locations(Path("mlflow.db")) if place.startswith(("/an", "file:"))]
    later = sqlite3.connect("mlflow.db").execute("SELECT artifact_location FROM experiments WHERE name = 'elsewhere'").fetchone()
    assert later == ("s3://bucket/mlartifacts-of-others",) and read(register, run) == "made here"


def test_an_absolute_address_finds_its_files_from_any_folder(register, checkout, monkeypatch):
    home, run = checkout
    fixed = register.model_copy(update={"tracking_uri": f"sqlite:///{home}/mlflow.db"})
    other = home.with_name("other")
    other.mkdir()
    monkeypatch.chdir(other)
    later = note(fixed, "kept at home")
    assert (read(fixed, run), read(fixed, later)) == ("made here", "kept at home") and not list(other.iterdir())


def test_concurrent_corrections_leave_a_whole_registry(register, checkout):
    folder, run = checkout
    with sqlite3.connect("mlflow.db") as connection:
        for table, column in DERIVED:
            connection.execute(f"UPDATE {table} SET {column} = '/gone/' || {column}")
    code = "from pathlib import Path; from inserter.registry.place import settle; settle(Path('mlflow.db'))"
    started = [subprocess.Popen([sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(ROOT)}) for _ in range(3)]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    assert {place.partition("/")[0] for place in locations(Path("mlflow.db"))} == {"mlartifacts", "mlruns"}
    assert read(register, run) == "made here"


@pytest.mark.parametrize("registered_before", [True, False])
def test_an_experiment_in_a_temporary_copy_registers_in_the_workspace(register, checkout, monkeypatch, registered_before):
    """DVC removes the copy at the end of `dvc exp run --temp`."""
    workspace, _ = checkout
    temporary = workspace / ".dvc/tmp/exps/tmp0a1b2c"
    temporary.mkdir(parents=True)
    if not registered_before:
        shutil.rmtree("mlartifacts")
        Path("mlflow.db").unlink()
    monkeypatch.chdir(temporary)
    run = note(register, "of the experiment")
    monkeypatch.chdir(workspace)
    shutil.rmtree(temporary)
    assert read(register, run) == "of the experiment"
    assert len(connect(register).search_model_versions()) == 1 + registered_before


def test_a_servers_address_has_no_file():
    assert database("http://127.0.0.1:5000") is None and database("sqlite:///mlflow.db") == Path("mlflow.db")


def test_the_environment_names_the_registry_and_mlflow_leaves_it_as_it_was(checkout, register, monkeypatch):
    """A process that is started later, in another folder, must not take MLflow's address for the user's."""
    import mlflow

    monkeypatch.chdir(checkout[0])
    connect(register)
    assert "MLFLOW_TRACKING_URI" not in os.environ and mlflow.get_tracking_uri().endswith("/mlflow.db")
    shutil.copy("mlflow.db", "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert connect(register).tracking_uri == f"sqlite:///{Path('other.db').resolve()}"
    assert os.environ["MLFLOW_TRACKING_URI"] == "sqlite:///other.db" and local_file(register) == Path("other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:./mlruns")
    with pytest.raises(InserterError, match=r"MLFLOW_TRACKING_URI 'file:./mlruns' cannot be used"):
        connect(register)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1/")
    live = LiveRun.of(register, "pretrain", "key")
    assert live is not None and live.address == "http://127.0.0.1:1"


def test_no_message_has_the_password_of_an_address(register, monkeypatch, capfd):
    address = "https://me:a%40secret@127.0.0.1:1/x?password=secret2"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    live = LiveRun.of(register, "pretrain", "key")
    assert live is not None and live.login == "me:a@secret" and "secret@" not in live.address
    say(f"metrics: {address}")
    told = f"{capfd.readouterr().err} {InserterError(f'no server at {address!r}', 'Start it')}"
    assert "secret" not in told and told.count("https://127.0.0.1:1/x?") == 2
    same = "models:/inserter@champion, sqlite:////a@b/mlflow.db and http://h:1/a@b"
    assert str(InserterError(same)) == same
