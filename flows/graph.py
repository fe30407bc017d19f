"""Read DVC's graph as DVC reads it: stages in run order, what they need, what has changed.

There is never a second copy of the graph.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.run.quiet import quiet
from inserter.yaml_files import read_yaml

if TYPE_CHECKING:
    from dvc.repo import Repo

DVC = Path(".dvc")
SOURCES, ALWAYS = "sources", "always changed"
# Of `dvc status`: "always changed", or {"changed deps": {path: state}}, or for parameters
# {"changed deps": {file: {key: state}}}.
Entry = str | dict[str, dict[str, str | dict[str, str]]]


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml.

    A foreach stage gives one stage per item: `gate@corpus`.
    """

    name: str
    command: str
    needs: tuple[str, ...]
    """Names of the stages that run before it."""

    @property
    def gate(self) -> str | None:
        """Return what this stage is the gate of (`corpus` for `gate@corpus`), or None."""
        group, _, item = self.name.partition("@")
        return item if group == "gate" and item else None


@contextmanager
def _repository() -> "Iterator[Repo]":
    quiet()
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    # DVC warns of locks that a killed dvc left; nobody has to act on them.
    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with TemporaryDirectory() as scratch:
            # In a read-only workspace nothing can change, so a lock that nobody else sees will do.
            own = {"tmp_dir": scratch, "_ignore": lambda repo: None} if DVC.is_dir() and not os.access(DVC, os.W_OK) else {}
            with type("Repository", (Repo,), own)(os.curdir) as repo:
                if not Path("dvc.yaml").exists():
                    raise NotDvcRepoError("dvc.yaml is missing")
                yield repo
    except NotDvcRepoError as error:
        raise InserterError(f"{Path.cwd()} is not a DVC workspace ({error})", "Run from the folder of dvc.yaml") from error
    except LockError as error:
        raise Busy from error
    except SCMError as error:
        raise InserterError(f"DVC needs a git repository: {error}", git_remedy()) from error
    except DvcException as error:
        raise InserterError(f"dvc.yaml cannot be read: {error}", "Correct dvc.yaml; `dvc status` shows more") from error


def git_remedy() -> str:
    return "`git init`, then run again" if shutil.which("git") else "git is not installed: install it (apt-get install git)"


class Busy(InserterError):
    """Another dvc holds the repository's lock: the only failure that is worth a retry."""

    def __init__(self) -> None:
        super().__init__("another DVC process is using this workspace", "Wait until that process ends or stop it, then run again")


def read() -> list[Stage]:
    """Return the stages of the current folder in the order they run.

    Each stage comes after what it needs, and gates come as early as they can. A gate costs seconds.
    Its refusal should come before hours of training that do not depend on it.
    """
    with _repository() as repo:
        import networkx

        order = {stage: (0 if "@" in stage.addressing else 1, i) for i, stage in enumerate(repo.index.stages)}
        graph = repo.index.graph  # edges point from a stage to what it needs
        ordered = networkx.lexicographical_topological_sort(graph.reverse(), key=order.__getitem__)
        needs = {stage: tuple(sorted(need.addressing for need in graph.successors(stage))) for stage in graph}
        return [Stage(stage.addressing, str(stage.cmd), needs[stage]) for stage in ordered]


def changes(name: str | None = None) -> dict[str, list[str]]:
    """Return {stage: reasons} as `dvc status` gives them, of the stage `name` or of all.

    Stages that are up to date are left out. DVC runs the stage `sources` every time. Here, that
    stage counts as changed only if the sources hold something else than when it ran.
    """
    with _repository() as repo:
        status = repo.status(targets=[name] if name else None)
    found = {stage: list(_reasons(entries)) for stage, entries in status.items()}
    if found.get(SOURCES) == [ALWAYS]:
        from inserter.params import load
        from stages.sources import stage as sources

        found[SOURCES] = sources.changes(load())
    return {stage: reasons for stage, reasons in found.items() if reasons}


def _reasons(entries: list[Entry]) -> Iterator[str]:
    """Yield `pretrain.seed modified`, `data/corpus deleted` ... from the entries of dvc status."""
    for entry in entries:
        if isinstance(entry, str):  # "changed command", "always changed"
            yield entry
            continue
        for changed in entry.values():
            for path, what in changed.items():
                keys = what if isinstance(what, dict) else {path: what}
                yield from (f"{key} {state}" for key, state in keys.items())


def recorded() -> set[str]:
    """Return the stages that have run before: dvc.lock knows them."""
    lock = Path("dvc.lock")
    return set((read_yaml(lock) or {}).get("stages") or {}) if lock.exists() else set()


def named(stages: list[Stage], targets: list[str]) -> list[str]:
    """Return the names that `targets` stand for.

    A target is a stage, or a foreach group (`check` is every `check@...`).
    """
    names = [stage.name for stage in stages]
    found: list[str] = []
    for target in targets:
        match = [name for name in names if name == target or name.partition("@")[0] == target]
        if not match:
            raise InserterError(f"there is no stage {target}", f"Choose one of: {', '.join(names)}")
        found += match
    return found


def upstream(stages: list[Stage], targets: list[str] | None) -> list[Stage]:
    """Return `targets` and all that they need, in the order they run.

    Without targets, return all stages.
    """
    if not targets:
        return stages
    wanted = set(named(stages, targets))
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in stages if stage.name in wanted]
