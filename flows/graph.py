"""DVC's graph as DVC reads it, never a second copy: stages in the order they run, what they need, what has changed."""

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


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml (a foreach stage: one for each item, `gate@corpus`). `needs`: stages that run before it."""

    name: str
    command: str
    needs: tuple[str, ...]

    @property
    def gate(self) -> str | None:
        """What this stage is the gate of (`corpus` for `gate@corpus`), or None."""
        group, _, item = self.name.partition("@")
        return item if group == "gate" and item else None


@contextmanager
def _repository() -> "Iterator[Repo]":
    quiet()
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    logging.getLogger("dvc").setLevel(logging.ERROR)  # it tells of locks that a killed dvc left; no one need act
    try:
        with TemporaryDirectory() as scratch:
            # Where nothing can be written nothing can change: the lock need not be one that others see.
            own = {"tmp_dir": scratch, "_ignore": lambda repo: None} if DVC.is_dir() and not os.access(DVC, os.W_OK) else {}
            with type("Repository", (Repo,), own)(os.curdir) as repo:
                if not Path("dvc.yaml").exists():
                    raise NotDvcRepoError("dvc.yaml is not there")
                yield repo
    except NotDvcRepoError as error:
        raise InserterError(f"{Path.cwd()} is not a workspace ({error})", "Run from the folder of dvc.yaml") from error
    except LockError as error:
        raise Busy from error
    except SCMError as error:
        raise InserterError(f"DVC works on a git repository: {error}", git_remedy()) from error
    except DvcException as error:
        raise InserterError(f"dvc.yaml cannot be read: {error}", "Mend it; `dvc status` says more") from error


def git_remedy() -> str:
    return "`git init`, then run again" if shutil.which("git") else "git is not installed: install it (apt-get install git)"


class Busy(InserterError):
    """Another dvc holds the repository's lock: the only failure that is worth a retry."""

    def __init__(self) -> None:
        super().__init__("another dvc is at work in this workspace", "Wait until it ends, or stop it, then run again")


def read() -> list[Stage]:
    """The stages of the current folder in the order they run: what is needed first, then gates as early as they can be.

    A gate costs seconds; a refusal should come before the hours of training that do not depend on it.
    """
    with _repository() as repo:
        import networkx

        order = {stage: (0 if "@" in stage.addressing else 1, i) for i, stage in enumerate(repo.index.stages)}
        graph = repo.index.graph  # edges point from a stage to what it needs
        ordered = networkx.lexicographical_topological_sort(graph.reverse(), key=order.__getitem__)
        needs = {stage: tuple(sorted(need.addressing for need in graph.successors(stage))) for stage in graph}
        return [Stage(stage.addressing, str(stage.cmd), needs[stage]) for stage in ordered]


def changes(name: str | None = None) -> dict[str, list[str]]:
    """What `dvc status` says of the stage `name`, or of all: {stage: reasons}; what is up to date is not in it."""
    with _repository() as repo:
        status = repo.status(targets=[name] if name else None)
    return {stage: list(_reasons(entries)) for stage, entries in status.items()}


def _reasons(entries: list) -> Iterator[str]:
    """`pretrain.seed modified`, `data/corpus deleted` ... out of the entries of dvc status."""
    for entry in entries:
        if isinstance(entry, str):  # "changed command", "always changed"
            yield entry
            continue
        for changed in entry.values():
            for path, what in changed.items():
                keys = what if isinstance(what, dict) else {path: what}
                yield from (f"{key} {state}" for key, state in keys.items())


def recorded() -> set[str]:
    """Stages that have run before (dvc.lock knows them)."""
    lock = Path("dvc.lock")
    return set((read_yaml(lock) or {}).get("stages") or {}) if lock.exists() else set()


def named(stages: list[Stage], targets: list[str]) -> list[str]:
    """Names that `targets` stand for: a stage, or a foreach group (`check` is every `check@...`)."""
    names = [stage.name for stage in stages]
    found: list[str] = []
    for target in targets:
        match = [name for name in names if name == target or name.partition("@")[0] == target]
        if not match:
            raise InserterError(f"there is no stage {target}", f"The stages are: {', '.join(names)}")
        found += match
    return found


def upstream(stages: list[Stage], targets: list[str] | None) -> list[Stage]:
    """`targets` and all that they need, in the order they run; all stages when there are no targets."""
    if not targets:
        return stages
    wanted = set(named(stages, targets))
    for stage in reversed(stages):
        if stage.name in wanted:
            wanted.update(stage.needs)
    return [stage for stage in stages if stage.name in wanted]
