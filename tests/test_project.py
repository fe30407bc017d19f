"""The house itself: arrows run one way, the graph has its code, the locks fit, and the README's examples load."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from inserter.assets.embedded import CATALOGUE
from inserter.errors import InserterError
from inserter.params import load
from inserter.run.closure import DECIDES_NOTHING, closure, deciding

FOLDERS = ("flows", "stages", "inserter", "models", "tests", "docs", ".ci")
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    """Every module that `path` imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _importers(folder: str, *modules: str) -> list[str]:
    """The files below `folder` that import one of `modules`, or a part of it."""
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _sources(folder)
        for name in _imports(path)
        if any(name == module or name.startswith(f"{module}.") for module in modules)
    ]


def test_a_stage_imports_no_other_stage() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _sources("stages")
        for name in _imports(path)
        if name.startswith("stages.") and name.split(".")[1] != path.relative_to(ROOT / "stages").parts[0]
    ]
    assert found == []


def test_arrows_run_from_flows_to_stages_to_the_library_to_models() -> None:
    assert _importers("stages", "flows") == []
    assert _importers("inserter", "stages", "flows") == []
    assert _importers("models", "inserter", "stages", "flows") == []


def _rooms() -> dict[str, set[str]]:
    """{room of the library: the rooms that it imports}. A file beside the rooms is one by itself."""
    found: dict[str, set[str]] = {}
    for path in _sources("inserter"):
        room = path.relative_to(ROOT / "inserter").parts[0].removesuffix(".py")
        others = {name.split(".")[1] for name in _imports(path) if name.startswith("inserter.")}
        found.setdefault(room, set()).update(others - {room})
    return found


def test_the_rooms_of_the_library_make_no_circle() -> None:
    rooms = _rooms()
    left = dict(rooms)
    while free := [room for room, others in left.items() if not others & left.keys()]:
        for room in free:
            del left[room]
    assert left == {}, "these import each other"


def test_scoring_needs_no_model() -> None:
    """Whoever only scores or judges installs neither torch nor the pipeline. params.yaml's types know the faster precision."""
    files = [path.relative_to(ROOT).as_posix() for path in closure("inserter.scoring") if path.name != "precision.py"]
    assert [file for file in files if file.startswith(("models", "stages", "flows", "inserter/training", "inserter/tts"))] == []


def test_models_know_no_orchestrator() -> None:
    assert _importers("models", "dvc", "prefect", "great_expectations") == []
    assert {line.split(":")[0] for line in _importers("models", "mlflow")} <= {"models/pyfunc.py"}


def test_every_stage_of_the_graph_has_its_package() -> None:
    commands = {name: (stage.get("do") or stage)["cmd"] for name, stage in DVC["stages"].items()}
    for name, command in commands.items():
        assert command.split()[:3] == ["python", "-m", f"stages.{name}"]
        assert (ROOT / "stages" / name / "__main__.py").is_file(), name


def test_every_package_is_in_the_graph() -> None:
    packages = {path.parent.name for path in (ROOT / "stages").glob("*/__main__.py")}
    assert packages == set(DVC["stages"])


@pytest.mark.parametrize("name", DVC["stages"])
def test_a_stage_depends_on_the_code_that_decides_its_result(name: str) -> None:
    """What it imports is computed. What decides nothing stands in `DECIDES_NOTHING`, each with its reason."""
    stage = DVC["stages"][name]
    code = [ROOT / dep for dep in (stage.get("do") or stage)["deps"] if dep.startswith(("stages/", "inserter/", "models"))]
    wanted = deciding(f"stages.{name}")
    empty = [path for path in wanted if path.name == "__init__.py" and len(ast.parse(path.read_text()).body) < 2]  # a docstring
    assert [path for path in wanted if path not in empty and not _covered(path, code)] == []
    assert [dep for dep in code if not any(path == dep or dep in path.parents for path in wanted)] == [], "not imported any more"


def _covered(path: Path, deps: list[Path]) -> bool:
    return any(path == dep or dep in path.parents for dep in deps)


def test_a_reason_is_about_code_that_is_there() -> None:
    assert [place for place in DECIDES_NOTHING if not (ROOT / place).exists()] == []


UNTRACKED = {"workers", "gate", "max_quarantine_share", "max_quarantine_share_by_voice"}  # of the machine, or asked by a gate


def test_a_stage_runs_again_when_a_key_of_its_section_changes() -> None:
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, stage in DVC["stages"].items():
        if isinstance(sections.get(name), dict) and "do" not in stage:
            tracked = stage.get("params", [])
            missing = [key for key in sections[name] if f"{name}.{key}" not in tracked and key not in UNTRACKED]
            assert name in tracked or not missing, (name, missing)


def test_stages_that_judge_clips_run_again_when_a_limit_changes() -> None:
    limits = {f"verify.{name}" for name in load(ROOT / "params.yaml").verify.limits()}
    for name in ("verify", "sft"):
        entries = DVC["stages"][name]["params"]
        tracked = [key for entry in entries for key in (entry["params.yaml"] if isinstance(entry, dict) else [entry])]
        assert {key for key in tracked if key.startswith("verify.")} == limits, name


def test_every_gated_stage_has_its_suite() -> None:
    from stages.check.suites import SUITES

    assert set(DVC["stages"]["check"]["foreach"]) == set(SUITES) == set(DVC["stages"]["gate"]["foreach"])


# Written in two parts, so that this file does not match itself.
LEAKS = [r"(?<![\w.{}])/wo" + r"rk/", r"(?<![\w.])/tm" + r"p/w\b", "py" + r"pi\.org", "python" + r"hosted\.", r"==[\w.]+\+" + "cpu"]


def _texts() -> Iterator[Path]:
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in ("", ".md", ".toml", ".yaml", ".lock"))
    for folder in FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def test_no_file_names_one_machine_or_registry() -> None:
    pattern = re.compile("|".join(LEAKS))
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def _pins(name: str) -> dict[str, str]:
    lines = (line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#"))
    return {canonicalize_name(package.split("[")[0]): version for package, version in (line.split("==") for line in lines)}


def _wanted() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    names = ("parquet", "pipeline", "coqui", "dev")
    wanted = [Requirement(line) for line in [*PROJECT["dependencies"], *(line for name in names for line in extras[name])]]
    return [requirement for requirement in wanted if requirement.name != PROJECT["name"]]


@pytest.mark.parametrize("requirement", _wanted(), ids=str)
def test_the_lock_fits_the_bounds(requirement: Requirement) -> None:
    pinned = _pins("requirements.lock").get(canonicalize_name(requirement.name))
    assert pinned is not None, f"{requirement.name} is not pinned"
    assert requirement.specifier.contains(pinned, prereleases=True)


def test_the_asset_packages_are_those_that_the_catalogue_names() -> None:
    named = {part.package for asset in CATALOGUE.values() for parts, _ in asset.files.values() for part in parts}
    assert {f"{package}=={version}" for package, version in _pins("assets.lock").items()} == named
    assert not _pins("assets.lock").keys() & _pins("requirements.lock").keys()


def test_gpl_voices_stay_an_extra() -> None:
    assert "piper-tts" not in _pins("requirements.lock")


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return base | {
        key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in change.items()
    }


def _with(tmp_path: Path, change: dict[str, Any]) -> Path:
    """params.yaml with `change` merged into it."""
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(_merged(yaml.safe_load((ROOT / "params.yaml").read_text()), change)))
    return path


def test_the_parameters_load() -> None:
    assert load(ROOT / "params.yaml").corpus.sources


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"corpus": {"word": 5}}, ["unknown key corpus.word", "did you mean words?", "min_words", "sources"]),
        ({"corpsu": {}}, ["unknown key corpsu", "did you mean corpus?", "verify"]),
        ({"warmup": {"adapter": {"strid": 4}}}, ["unknown key warmup.adapter.strid", "did you mean stride?", "kind"]),
        (
            {"warmup": {"adapter": {"kind": "magic"}}},
            ["warmup.adapter.kind", "'pooling', 'stacking', 'soft_token' or 'decoder'", "'magic'"],
        ),
        ({"verify": {"max_wer": "low"}}, ["verify.max_wer", "number", "'low'"]),
        ({"interleave": {"mixture": {"text": 0.5}}}, ["interleave.mixture", "must be 1"]),
        ({"synthesize": {"voices": [{"name": "a", "engine": "hibari", "voice": "heart", "speed": 2}]}}, ["speed", "rate"]),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(tmp_path: Path, change: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(InserterError) as error:
        load(_with(tmp_path, change))
    assert len(str(error.value).splitlines()) == 1
    for part in parts:
        assert part in str(error.value)


def test_a_password_in_the_parameters_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(InserterError, match=r"register.tracking_uri: .*Set MLFLOW_TRACKING_URI instead") as error:
        load(_with(tmp_path, {"register": {"tracking_uri": "postgresql://me:secret@host/mlflow"}}))
    assert "secret" not in str(error.value) and "//host/mlflow" in str(error.value)


UNSAFE = """
import marshal, os, pickle, ssl, subprocess, tarfile, tempfile, httpx, yaml
pickle.load(file)  # S301
marshal.load(file)  # S302
eval(text)  # S307
exec(text)  # S102
yaml.load(text)  # S506
subprocess.run(text, shell=True)  # S602
os.system(text)  # S605
tarfile.open(path).extractall()  # S202
tempfile.mktemp()  # S306
httpx.get(url, verify=False)  # S501
server.bind(("0.0.0.0", 80))  # S104
"""


@pytest.mark.parametrize("folder", ["flows", "stages", "inserter", "models"])
def test_the_linter_refuses_code_that_runs_data_or_listens_everywhere(folder: str) -> None:
    ruff = [str(Path(sys.executable).with_name("ruff")), "check", "--output-format", "json", "--stdin-filename"]
    found = subprocess.run([*ruff, f"{folder}/new.py", "-"], input=UNSAFE, capture_output=True, text=True, cwd=ROOT).stdout
    assert set(re.findall(r"# (S\d+)", UNSAFE)) <= {one["code"] for one in json.loads(found)}, found
    assert not [path for path in _sources(folder) if re.search(r"noqa: .*\bS\d", path.read_text(encoding="utf-8"))]


def test_every_promise_of_the_guide_names_a_test_that_is_there() -> None:
    guide = (ROOT / "docs/SECURITY.md").read_text(encoding="utf-8")
    promises = guide.partition("## What is promised")[2].partition("## What is not promised")[0]
    lines = [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| promise ")]
    assert len(lines) > 20
    for line in lines:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line)
        assert named, line
        for file, test in named:
            assert f"\ndef {test}(" in (ROOT / file).read_text(encoding="utf-8"), (file, test)


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", *(f"docs/{name}.md" for name in ("BENCHMARK", "JUDGE", "SCORING", "SECURITY"))]
)
def test_links_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text())
    assert [link for link in links if "://" not in link and not ((ROOT / document).parent / link).exists()] == []


def test_the_readmes_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / "README.md").read_text())) <= targets
    assert {"run", "test", "lint", "bench", "ui", "clean", "help"} <= targets


def _make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    for name in ("Makefile", "requirements.lock", "assets.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, env=outside)


def test_make_alone_lists_the_targets(tmp_path: Path) -> None:
    listed = _make(tmp_path)
    assert listed.returncode == 0
    assert {"run", "test", "lint"} <= {line.split()[0] for line in listed.stdout.splitlines()}


def test_an_old_python_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo "Python 3.9.1"; exit 0; }\nexit 1\n')
    old.chmod(0o755)
    refused = _make(tmp_path, "run", f"PYTHON={old}")
    assert refused.returncode != 0
    assert "needs Python 3.11 or newer" in refused.stderr
    assert "Python 3.9.1" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_finished_environment_is_not_installed_again(tmp_path: Path) -> None:
    commands = tmp_path / ".venv" / "bin"
    commands.mkdir(parents=True)
    (commands / "inserter").write_text('#!/bin/sh\necho "ran $@"\n')
    (commands / "inserter").chmod(0o755)
    assert "installing" in _make(tmp_path, "--dry-run", "run").stdout  # no stamp yet
    now = time.time()  # told apart by minutes: files that are written one after the other may have one time stamp
    for path in tmp_path.iterdir():
        os.utime(path, (now - 120, now - 120))
    (tmp_path / ".venv" / ".installed").touch()
    os.utime(tmp_path / ".venv" / ".installed", (now - 60, now - 60))
    assert _make_again(tmp_path, "run", "STAGES=corpus segment") == "ran run corpus segment"
    (tmp_path / "requirements.lock").touch()
    assert "installing" in _make_again(tmp_path, "--dry-run", "run")


def _make_again(folder: Path, *arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_the_tools_start_without_heavy_imports() -> None:
    code = "import sys, flows.cli; print([m for m in ('torch', 'mlflow', 'prefect', 'great_expectations') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
