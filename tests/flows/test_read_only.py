"""A checkout that nobody can write, a full disk, no git: what can be done is done, and the rest is one line.

The tests run as root where CI does, whom no permission stops: so the places are mounts, in a namespace of their own.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT

from inserter.audio import clips as audio
from inserter.files import write_jsonl, write_table
from inserter.params import load
from inserter.registry.tracking import CHAMPION, connect, experiment_id
from inserter.tables import UTTERANCES
from inserter.yaml_files import dump_yaml, read_yaml

MOUNTS = subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0 if shutil.which("unshare") else False
needs_mounts = pytest.mark.skipif(not MOUNTS, reason="mounting is not allowed here")
READ_ONLY = "mount --bind . . && mount -o remount,ro,bind . . && cd ../workspace && "
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def inserter(folder: Path, *arguments: str, mount: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    if mount:
        command = ["unshare", "-m", "sh", "-c", f'{mount} exec "$@"', "sh", *command]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT | environment, capture_output=True, text=True)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1 and done.stderr.startswith("inserter: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def workspace(tiny_model, tiny_lm, tiny_encoder, databases, tmp_path_factory) -> Path:
    """A finished one: a graph, a champion in the registry, a clip."""
    import mlflow

    from models.pyfunc import pyfunc_arguments

    folder = tmp_path_factory.mktemp("place") / "workspace"
    folder.mkdir()
    (folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    settings = read_yaml(ROOT / "params.yaml")
    settings["assets"] |= {"lm": str(tiny_lm), "encoder": str(tiny_encoder)}
    (folder / "params.yaml").write_text(dump_yaml(settings))
    (folder / "dvc.yaml").write_text("stages: {one: {cmd: 'true', deps: [params.yaml]}}\n")
    click = audio.flac(np.full(8_000, 0.1, dtype=np.float32))
    (folder / "click.flac").write_bytes(click)
    (offset, size) = audio.write_shard(folder / "data/synthesize/shard-00000.tar", [("d-000", click)])["d-000"]
    row = {"utt_id": "d-000", "shard": "shard-00000.tar", "offset": offset, "size": size}
    write_table(folder / "data/synthesize/utterances.parquet", [row], UTTERANCES)
    asked = {"key": "1", "prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    write_jsonl(folder / "answers.jsonl", [asked | {"response": "No."}])
    write_jsonl(folder / "open.jsonl", [{"id": "1", "prompt": "A poem.", "decomposed_questions": ["Is it?"], "response": "Yes."}])
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        databases.mlflow(folder / "mlflow.db")
        register = load().register_
        client = connect(register)
        with mlflow.start_run(experiment_id=experiment_id(client, register)):
            logged = mlflow.pyfunc.log_model(name="model", **pyfunc_arguments(tiny_model))
        version = mlflow.register_model(logged.model_uri, register.model).version
        client.set_registered_model_alias(register.model, CHAMPION, str(version))
    return folder


@pytest.fixture(scope="module")
def answered(workspace) -> str:
    done = inserter(workspace, "ask", "click.flac")
    assert done.returncode == 0 and done.stdout
    return done.stdout


@needs_mounts
def test_a_read_only_checkout_is_looked_at_and_asked(workspace, answered):
    status = inserter(workspace, "status", mount=READ_ONLY)
    assert status.returncode == 0 and "never run" in status.stdout and "inserter@champion: version 1" in status.stdout
    said = inserter(workspace, "ask", "click.flac", mount=READ_ONLY)
    assert said.returncode == 0 and said.stdout == answered


ELSEWHERE = [
    ("plan", "positions in total"),
    ("clip d-000 --out ELSEWHERE/new/clip.flac", ""),
    ("score closed answers.jsonl --details ELSEWHERE/verdicts.jsonl", "100.00 %"),
]


@needs_mounts
@pytest.mark.parametrize(("command", "said"), ELSEWHERE)
def test_what_is_written_elsewhere_needs_no_place_in_the_checkout(workspace, tmp_path, command, said):
    done = inserter(workspace, *command.replace("ELSEWHERE", str(tmp_path)).split(), mount=READ_ONLY)
    assert done.returncode == 0 and said in done.stdout, done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and not path.stat().st_size]
    assert len(list(tmp_path.rglob("*.*"))) == command.count("ELSEWHERE")


@needs_mounts
def test_a_judge_needs_a_place_for_the_replies_that_were_paid_for(workspace, tmp_path):
    judge = {"INSERTER_JUDGE_BASE_URL": "http://127.0.0.1:9/v1", "INSERTER_JUDGE_MODEL": "m", "INSERTER_JUDGE_API_KEY": "k"}
    done = inserter(workspace, "judge", "open", "open.jsonl", "--out", str(tmp_path / "judged.jsonl"), mount=READ_ONLY, **judge)
    told = "replies.sqlite: Read-only file system. Run from a writable folder: this file keeps the judge's paid replies"
    assert told in one_line(done) and not list(tmp_path.iterdir())


@needs_mounts
@pytest.mark.parametrize("command", ["status", "assets"])
def test_a_user_without_a_home_is_told_to_set_one(workspace, command):
    drop = "unset HOME XDG_CACHE_HOME XDG_CONFIG_HOME INSERTER_CACHE PREFECT_HOME; exec unshare -U --map-user=54321"
    done = inserter(workspace, command, mount=f'{drop} "$@"; ')
    assert (
        "inserter: HOME is not set, and this user has no home folder. Set HOME to a writable folder" in done.stderr.splitlines()[-1]
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr


def test_the_command_is_called_by_its_path_where_path_knows_no_dvc(workspace, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(workspace, copy)
    text = (copy / "params.yaml").read_bytes()
    dependency = f"{{path: params.yaml, hash: md5, md5: {hashlib.md5(text).hexdigest()}, size: {len(text)}}}"
    (copy / "dvc.lock").write_text(f"schema: '2.0'\nstages: {{one: {{cmd: 'true', deps: [{dependency}]}}}}\n")
    done = inserter(copy, "run", PATH="/usr/bin:/bin")
    assert done.returncode == 0 and "everything is up to date" in done.stderr


def test_a_folder_may_have_a_blank_and_a_per_cent_sign_in_its_name(workspace, answered, tiny_model, tmp_path):
    odd = tmp_path / "a b%20c %s"
    shutil.copytree(workspace, odd)
    shutil.copytree(tiny_model, odd / "m %41")
    assert "inserter@champion: version 1" in inserter(odd, "status").stdout
    assert "100.00 %" in inserter(odd, "score", "closed", "answers.jsonl", "--details", "v %d.jsonl").stdout
    assert (odd / "v %d.jsonl").stat().st_size
    said = inserter(odd, "ask", str(odd / "click.flac"), "--model", "m %41")
    assert said.returncode == 0 and said.stdout == answered


@needs_mounts
@pytest.mark.parametrize(("command", "what"), [("run", "workspace cannot be written"), ("promote", "mlflow.db cannot be written")])
def test_what_has_to_write_says_so_in_one_line(workspace, command, what):
    assert what in one_line(inserter(workspace, command, mount=READ_ONLY))


@needs_mounts
def test_a_full_disk_is_one_line_and_leaves_no_half_of_a_file(workspace):
    (workspace / "full").mkdir(exist_ok=True)
    full = "mount -t tmpfs -o size=64k none full && cat /dev/zero > full/filled 2> /dev/null; "
    (workspace / "long.jsonl").write_text(
        '{"key": "1", "prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}], "response": "a '
        + "word " * 20_000
        + '"}\n'
    )
    done = inserter(workspace, "score", "closed", "long.jsonl", "--details", "full/verdicts.jsonl", mount=full)
    assert "No space left on device. Free some disk space" in one_line(done)


@needs_mounts
def test_a_stage_in_a_place_it_cannot_write_is_one_line(workspace):
    command = ["unshare", "-m", "sh", "-c", f"{READ_ONLY} exec {sys.executable} -m stages.gate corpus"]
    done = subprocess.run(command, cwd=workspace, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr and ".work" in done.stderr and "Read-only" in done.stderr


@pytest.mark.parametrize("command", ["status", "run"])
def test_without_git_the_line_is_about_git(workspace, tmp_path, command):
    for name in (".dvc/config", "params.yaml", "dvc.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(workspace / name, tmp_path / name)
    assert "not a git repository. `git init`" in one_line(inserter(tmp_path, command))
    (tmp_path / "empty").mkdir()
    without = one_line(inserter(tmp_path, command, PATH=str(tmp_path / "empty")))
    assert "git is not installed" in without and "dvc.yaml" not in without
