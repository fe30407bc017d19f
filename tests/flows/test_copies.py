"""Working copies of experiments in a checkout that was moved or copied: each is its own checkout's, and goes on where it was."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.ablate import copies
from inserter.errors import InserterError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed one, with a working copy that has half-done work in it."""
    folder = tmp_path / "first"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, value in copies.NOBODY.items():
        monkeypatch.setenv(name, value)
    Path("params.yaml").write_text("steps: 1\n")
    Path(".gitignore").write_text("/experiments\n/.work\n/texts\n")
    Path("texts").mkdir()
    Path("texts/own.txt").write_text("It rained.")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    subprocess.run("git add -A && git commit -q -m first", shell=True, check=True)
    make()
    (copies.HOME / "one/.work").mkdir(exist_ok=True)
    (copies.HOME / "one/.work/half").write_text("done")
    return folder


def make() -> Path:
    return copies.make("one", copies.commit(), {"steps": 2, "path": "texts/own.txt"})


def sound(folder: Path) -> bool:
    """Whether git and the links of the working copy stay within the checkout `folder`, and its work is still there."""
    copy = folder / copies.HOME / "one"
    home = subprocess.run(["git", "-C", copy, "rev-parse", "--absolute-git-dir"], capture_output=True, text=True, check=True)
    links = [copy / copies.JUDGE, copy / "texts/own.txt"]
    places = [Path(home.stdout.strip()), *(link.resolve(strict=True) for link in links)]
    return all(place.is_relative_to(folder) for place in places) and (copy / ".work/half").read_text() == "done"


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_working_copy_belongs_to_the_checkout_that_it_is_in(project, tmp_path, monkeypatch, how):
    second = tmp_path / "second"
    shutil.move(project, second) if how == "moved" else shutil.copytree(project, second, symlinks=True)
    monkeypatch.chdir(second)
    make()
    assert sound(second) and (how == "moved" or sound(project))
    copies.remove("one")
    assert not (second / copies.HOME / "one").exists() and (how == "moved" or sound(project))
    listed = subprocess.run(["git", "worktree", "list"], capture_output=True, text=True, check=True).stdout
    assert listed.count("\n") == 1


def test_a_working_copy_of_another_repository_is_not_touched(project):
    shutil.rmtree(".git/worktrees/one")
    for act in (make, lambda: copies.remove("one")):
        with pytest.raises(InserterError, match=r"experiments/one is not a working copy of this repository\. Move or delete"):
            act()
    assert (copies.HOME / "one/.work/half").read_text() == "done"
