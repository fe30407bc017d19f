"""Make a working copy per experiment: a git worktree at one commit with its own parameters.

All copies share the workspace's DVC cache. `dvc exp run --temp` is not used, for three reasons:
- It deletes its folder when a run is killed, with every checkpoint of a training in it.
- It stashes and restores the workspace, which someone may be editing.
- Each run would take the code as it stands at that moment.

A worktree stays until its result is recorded. All experiments use the commit that the first one
began with.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from flows import steps
from inserter.errors import InserterError
from inserter.files import fingerprint
from inserter.paths import DATA, REPORTS, WORK, cache_home, states_home
from inserter.run.closure import closure
from inserter.yaml_files import dump_yaml, parse_yaml, read_yaml

HOME = Path("experiments")
# What may decide a result, besides the parameters.
CODE = ("stages", "inserter", "models", "dvc.yaml")
NOBODY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "inserter"), ("EMAIL", "inserter@localhost"))
}
FILES = ("path", "voice", "speaker")  # keys whose value may be the bare name of a file or folder
JUDGE = WORK / "judge"  # judgements that were paid for


def git(*arguments: str, remedy: str = "Run `git init` if needed, then commit the project: an experiment runs a commit") -> str:
    """Run git and return what it prints.

    Git's hooks are left out: DVC's own would check data out into every new copy.

    Raises InserterError if git fails or is not installed.
    """
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
    """Return the files of code and parameters that differ from the commit.

    Experiments run without these changes.
    """
    changed = git("status", "--porcelain", "--", *CODE, "params.yaml")
    return [line.split(maxsplit=1)[-1] for line in changed.splitlines()]


def params_at(revision: str) -> object:
    return parse_yaml(git("show", f"{revision}:./params.yaml"), f"params.yaml of {revision[:8]}")


def code_at(revision: str) -> str:
    """Return a fingerprint of what decides a result at `revision`.

    The fingerprint covers the graph, and the code of its stages without comments.
    """
    with tempfile.TemporaryDirectory(prefix="inserter-code-") as folder:
        archive, root = Path(folder, "code.zip"), Path(folder, "code")
        git("archive", "--output", str(archive), revision, "--", *CODE)
        shutil.unpack_archive(archive, root)
        graph = read_yaml(root / "dvc.yaml")["stages"]
        return fingerprint(graph, files=closure(*(f"stages.{name}" for name in graph), root=root))


def make(name: str, revision: str, params: Mapping[str, object]) -> Path:
    """Make the working copy `name` at `revision` with `params`; return the folder of its dvc.yaml.

    A copy that a killed run left is used again.
    """
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
    """Repair git's pointers of a working copy, which are absolute.

    In a checkout that was moved, the pointers lead nowhere. In a copied one, they lead to the
    original.

    Raises InserterError if this repository does not know the working copy.
    """
    pointer = copy / ".git"
    known = Path(git("rev-parse", "--git-common-dir")).resolve() / "worktrees"
    home = known / Path(pointer.read_text(encoding="utf-8").strip()).name if pointer.is_file() else known
    if not (home / "HEAD").is_file():
        raise InserterError(f"{copy} is not a working copy of this repository", "Move or delete that folder")
    for file, text in ((pointer, f"gitdir: {home}\n"), (home / "gitdir", f"{pointer.resolve()}\n")):
        if file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def remove(name: str) -> None:
    _claim(HOME / name)
    git("worktree", "remove", "--force", str(HOME / name))


def environment() -> dict[str, str]:
    """Return the environment variables of an experiment.

    The variables say where an experiment finds what all of them share, whatever folder it runs in.
    If git knows no name for the experiment's commit, further variables give one.
    """
    shared = {"INSERTER_STATES": str(states_home().resolve()), "INSERTER_CACHE": str(cache_home().resolve())}
    asked = (subprocess.run(["git", "config", f"user.{what}"], capture_output=True) for what in ("name", "email"))
    known = all(done.returncode == 0 for done in asked)
    return shared if known or NOBODY.keys() <= os.environ.keys() else shared | NOBODY


def _share(folder: Path, params: Mapping[str, object]) -> None:
    """Give the copy what it shares with the workspace.

    Shared are the DVC cache (and with it the run cache), remotes and secrets, paid judgements, and
    local inputs.
    """
    local, own = Path(".dvc/config.local"), folder / ".dvc" / "config.local"
    if local.exists():
        shutil.copy(local, own)
    cache = Path(_dvc(Path(), "cache", "dir")).resolve()
    _dvc(folder, "config", "--local", "cache.dir", str(cache))
    JUDGE.mkdir(parents=True, exist_ok=True)
    for path in (JUDGE, *_local(params)):
        link = folder / path
        if link.is_symlink():  # after a checkout was moved or copied, it leads elsewhere
            link.unlink()
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())


def _dvc(folder: Path, *arguments: str) -> str:
    """Return what a quick dvc command prints in `folder`."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=steps.environment())
    if done.returncode:
        raise InserterError(f"dvc {arguments[0]} failed ({' '.join(done.stderr.split())[:200]})", "Run from the folder of dvc.yaml")
    return done.stdout.strip()


def _local(value: object, key: str = "") -> Iterator[Path]:
    """Yield the relative paths among the parameters that lead to something here.

    Git may not have these files, and then the copy would lack them. A bare name counts as a path if
    its key is in FILES.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _local(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _local(item, key)
    elif isinstance(value, str) and ("/" in value or key in FILES):
        parts = Path(value).parts
        # Of a glob, the folder counts.
        whole = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
        path = Path(*parts[:whole])
        own = path in (DATA, REPORTS)  # the copy makes these itself
        if parts[:whole] and not path.is_absolute() and ".." not in parts and path.exists() and not own:
            yield path
            # The settings of a Piper voice, and the words of a recording.
            beside = (Path(f"{path}.json"), path.with_suffix(".txt"))
            yield from (other for other in beside if path.is_file() and other != path and other.exists())
