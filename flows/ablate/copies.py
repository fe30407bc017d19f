"""A working copy for each experiment: a git worktree at one commit, with its parameters, over the workspace's DVC cache.

Not `dvc exp run --temp`: it throws its folder away when a run is killed, with every resume point of a training in it; it stashes
and restores the workspace, which someone may be editing; and each run would take the code as it stands at that moment. A
worktree stays until its result is recorded, and all experiments are of the commit that the first one began with.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows import steps
from inserter.errors import InserterError
from inserter.files import fingerprint
from inserter.paths import DATA, REPORTS, WORK, cache_home, states_home
from inserter.run.closure import deciding
from inserter.yaml_files import dump_yaml, parse_yaml, read_yaml

HOME = Path("experiments")
CODE = ("stages", "inserter", "models", "dvc.yaml")  # what may decide a result, besides the parameters
NOBODY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "inserter"), ("EMAIL", "inserter@localhost"))
}
FILES = ("path", "voice", "speaker")  # keys of which the value may be a file's or a folder's bare name
JUDGE = WORK / "judge"  # what a judge was paid for


def git(*arguments: str, remedy: str = "Experiments are of a commit: `git init`, then commit the project") -> str:
    """What git prints. Its hooks are left out: DVC's own would check data out into every new copy."""
    command = ["git", "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise InserterError("git is not installed", "Install it (apt-get install git)") from error
    if done.returncode:
        reason = " ".join(done.stderr.split())[:200]
        raise InserterError(f"git {arguments[0]} failed ({reason})", remedy)
    return done.stdout.strip()


def commit() -> str:
    return git("rev-parse", "HEAD")


def not_committed() -> list[str]:
    """Files of the code and the parameters that differ from the commit: experiments run without those changes."""
    changed = git("status", "--porcelain", "--", *CODE, "params.yaml")
    return [line.split(maxsplit=1)[-1] for line in changed.splitlines()]


def params_at(revision: str) -> Any:
    return parse_yaml(git("show", f"{revision}:./params.yaml"), f"params.yaml of {revision[:8]}")


def code_at(revision: str) -> str:
    """Return a fingerprint of what decides a result at `revision`: the graph, and the code of its stages without comments."""
    with tempfile.TemporaryDirectory(prefix="inserter-code-") as folder:
        archive, root = Path(folder, "code.zip"), Path(folder, "code")
        git("archive", "--output", str(archive), revision, "--", *CODE)
        shutil.unpack_archive(archive, root)
        graph = read_yaml(root / "dvc.yaml")["stages"]
        return fingerprint(graph, files=deciding(*(f"stages.{name}" for name in graph), root=root))


def make(name: str, revision: str, params: dict[str, Any]) -> Path:
    """The working copy `name`, new or as a killed run left it, at `revision` and with `params`: the folder of its dvc.yaml."""
    copy = HOME / name
    if (copy / ".git").exists():
        _claim(copy)
        git("-C", str(copy), "checkout", "--force", "--detach", revision)
    else:
        shutil.rmtree(copy, ignore_errors=True)
        git("worktree", "add", "--force", "--detach", str(copy), revision)
    folder = copy / git("rev-parse", "--show-prefix")
    (folder / "params.yaml").write_text(dump_yaml(params), encoding="utf-8")
    _share(folder, params)
    return folder


def _claim(copy: Path) -> None:
    """Mend git's pointers, which are absolute: in a checkout that was moved they lead nowhere, in a copied one to the original.

    Raises InserterError where this repository does not know the working copy.
    """
    pointer = copy / ".git"
    known = Path(git("rev-parse", "--git-common-dir")).resolve() / "worktrees"
    home = known / Path(pointer.read_text(encoding="utf-8").strip()).name if pointer.is_file() else known
    if not (home / "HEAD").is_file():
        raise InserterError(f"{copy} is no working copy of this repository", "Move it away, or delete it with what is in it")
    for file, text in ((pointer, f"gitdir: {home}\n"), (home / "gitdir", f"{pointer.resolve()}\n")):
        if file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def remove(name: str) -> None:
    _claim(HOME / name)
    git("worktree", "remove", "--force", str(HOME / name))


def environment() -> dict[str, str]:
    """Where an experiment finds what all of them share, whatever folder it runs in; a name for its commit where git knows none."""
    shared = {"INSERTER_STATES": str(states_home().resolve()), "INSERTER_CACHE": str(cache_home().resolve())}
    asked = (subprocess.run(["git", "config", f"user.{what}"], capture_output=True) for what in ("name", "email"))
    known = all(done.returncode == 0 for done in asked)
    return shared if known or NOBODY.keys() <= os.environ.keys() else shared | NOBODY


def _share(folder: Path, params: dict[str, Any]) -> None:
    """The workspace's DVC cache (and with it the run cache), remotes and secrets, paid judgements, and local inputs."""
    local, own = Path(".dvc/config.local"), folder / ".dvc" / "config.local"
    if local.exists():
        shutil.copy(local, own)
    cache = Path(_dvc(Path(), "cache", "dir")).resolve()
    _dvc(folder, "config", "--local", "cache.dir", str(cache))
    JUDGE.mkdir(parents=True, exist_ok=True)
    for path in (JUDGE, *_local(params)):
        link = folder / path
        if link.is_symlink():  # of a checkout that was moved or copied it leads elsewhere
            link.unlink()
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())


def _dvc(folder: Path, *arguments: str) -> str:
    """What a quick dvc command prints in `folder`."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=steps.environment())
    if done.returncode:
        raise InserterError(f"dvc {arguments[0]} failed ({' '.join(done.stderr.split())[:200]})", "Run from the folder of dvc.yaml")
    return done.stdout.strip()


def _local(value: Any, key: str = "") -> Iterator[Path]:
    """Relative paths among the parameters that lead to something here: git may not have it, and the copy would lack it. A bare name
    is one where the key says so."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _local(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _local(item, key)
    elif isinstance(value, str) and ("/" in value or key in FILES):
        parts = Path(value).parts
        whole = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), len(parts))  # of a glob, the folder
        path = Path(*parts[:whole])
        own = path in (DATA, REPORTS)  # the copy makes these itself
        if parts[:whole] and not path.is_absolute() and ".." not in parts and path.exists() and not own:
            yield path
            beside = (Path(f"{path}.json"), path.with_suffix(".txt"))  # a Piper voice's settings, the words of a recording
            yield from (other for other in beside if path.is_file() and other != path and other.exists())
