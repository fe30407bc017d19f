"""The wheel in an environment that has what `dependencies` of pyproject.toml asks for, and nothing else."""

import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from checkout import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(requirements: list[str]) -> dict[str, Distribution]:
    """The installed distributions that `requirements` need, directly or not."""
    found: dict[str, Distribution] = {}
    todo = [Requirement(line) for line in requirements]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found[name] = distribution(name)
            todo += [Requirement(line) for line in found[name].requires or []]
    return found


def environment(folder: Path, requirements: list[str]) -> Path:
    """A new environment in `folder` with the wheel and `requirements`, which are linked to this one's. Returns its python."""
    venv.create(folder)
    site = next(folder.glob("lib/python*/site-packages"))
    for one in closure(requirements).values():
        for top in {file.parts[0] for file in one.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            (site / top).symlink_to(Path(str(one.locate_file(top))))
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    wheels = folder / "wheels"
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, _source(folder)], check=True)
    subprocess.run([*pip, "install", "--no-deps", "--target", site, *wheels.glob("*.whl")], check=True)
    return folder / "bin" / "python"


def _source(folder: Path) -> Path:
    """The files that the wheel is built from, linked: setuptools leaves a build folder beside them."""
    source = folder / "source"
    source.mkdir()
    for name in ("inserter", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    return source
