"""Who only scores installs a few packages: the wheel without an extra scores and judges, and says which extra else is needed."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from checkout import ROOT
from judge_server import OPEN, JudgeServer, record
from light import closure, environment
from stranger import benchmark, stranger

from inserter.files import read_jsonl, write_jsonl
from inserter.scoring import closed
from inserter.scoring.recordfiles import write_records

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES, EXTRAS = PROJECT["dependencies"], PROJECT["optional-dependencies"]
CASES = ROOT / "tests" / "conformance" / "closed_cases.jsonl"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("light") / "env", DEPENDENCIES)


@pytest.fixture(scope="module")
def with_answer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the extra `answer`."""
    more = [*EXTRAS["parquet"], *(name for name in EXTRAS["answer"] if not name.startswith("inserter"))]
    return environment(tmp_path_factory.mktemp("answer") / "env", [*DEPENDENCIES, *more])


def run(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"NO_PROXY": "127.0.0.1"}
    command = [python, "-P", "-m", "inserter", *arguments]
    return subprocess.run(command, cwd=folder, env=outside, capture_output=True, text=True)


def test_a_light_install_has_fewer_than_15_packages() -> None:
    assert len(closure(DEPENDENCIES)) + len(["inserter"]) < 15


def test_it_scores_as_the_whole_environment_does(python: Path, tmp_path: Path) -> None:
    done = run(python, tmp_path, "score", "closed", str(CASES), "--mode", "reference", "--details", "rows.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == closed.score_file(CASES, "reference", tmp_path / "mine.jsonl")
    assert (tmp_path / "rows.jsonl").read_bytes() == (tmp_path / "mine.jsonl").read_bytes()


def test_it_judges(python: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "answers.jsonl", [record(0)])
    with JudgeServer() as server:
        judge = ("--model", "judge-1", "--base-url", server.url)
        done = run(python, tmp_path, "judge", "open", "answers.jsonl", "--out", "judged.jsonl", *judge)
    assert done.returncode == 0, done.stderr
    assert [row["pred_score"] for row in read_jsonl(tmp_path / "judged.jsonl")] == [[OPEN] * 4]
    assert run(python, tmp_path, "score", "open", "judged.jsonl").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("score", "closed", "a.parquet"),
        ("score", "closed", "a.jsonl.zst"),
        ("score", "closed", "a.jsonl", "--details", "out.parquet"),
        ("judge", "open", "a.jsonl", "--out", "out.parquet", "--model", "m", "--base-url", "http://127.0.0.1:1"),
    ],
)
def test_a_file_that_needs_pyarrow_says_so(python: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    for name in ("a.parquet", "a.jsonl.zst", "a.jsonl"):
        write_records(tmp_path / name, [record(0)])
    done = run(python, tmp_path, *arguments)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "pip install 'inserter[parquet]'" in done.stderr


def test_the_extra_answer_has_what_asking_a_model_needs(python: Path, with_answer: Path, tmp_path: Path) -> None:
    items = benchmark(tmp_path)
    with stranger() as server:
        ask = ("answer", "closed", "--endpoint", server.url, "--model", "stranger", "--items", str(items))
        bare = run(python, tmp_path, *ask)
        assert bare.returncode == 1 and "pip install 'inserter[answer]'" in bare.stderr and bare.stderr.count("\n") == 1
        done = run(with_answer, tmp_path, *ask)
    assert done.returncode == 0, done.stderr
    scored = run(with_answer, tmp_path, "score", "closed", "answers/stranger/closed.jsonl", "--intervals")
    assert scored.returncode == 0 and "standard" in scored.stdout, scored.stderr
    assert subprocess.run([with_answer, "-c", "import torch"], capture_output=True).returncode == 1


@pytest.mark.parametrize("command", [("run",), ("status",), ("plan",), ("hear", "a.wav"), ("assets",)])
def test_a_command_of_the_pipeline_names_the_extra(python: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    """In the checkout, with an environment that is light, and outside."""
    for folder in (ROOT, tmp_path):
        done = run(python, folder, *command)
        assert done.returncode == 1 and done.stdout == "", done.stderr
        assert done.stderr.count("\n") == 1 and "pip install 'inserter[pipeline]'" in done.stderr, done.stderr
