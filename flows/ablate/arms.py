"""Read groups of arms from arms.yaml, and make one experiment per arm and seed."""

import shlex
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from inserter.errors import InserterError
from inserter.params import Section, laid_over, read

ARMS = Path(__file__).with_name("arms.yaml")
TWO_HOURS = "experiment"  # the group of `inserter experiment`


class Arm(Section):
    """One arm of a group."""

    set: dict[str, object]
    """Dotted parameters with their values."""

    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    """One experiment per seed."""


class Group(Section):
    """Arms that are compared with each other."""

    about: str
    arms: dict[str, Arm]
    compared: str | None = None
    """The arm that every other is subtracted from; None: the first."""
    overlay: str | None = None
    """A file that is laid over params.yaml and `Arms.base`, below what an arm sets."""


class Arms(Section):
    """The content of arms.yaml."""

    seeded: tuple[str, ...]
    """The parameters that a seed is given to."""

    base: dict[str, object]
    """What is laid over params.yaml for every arm."""

    groups: dict[str, Group]


@dataclass(frozen=True)
class Experiment:
    """One arm with one seed."""

    group: str
    arm: str
    seed: int
    overrides: dict[str, object] = field(hash=False)
    """What is laid over params.yaml, nested like params.yaml."""

    source: str
    """Where the overrides are written."""

    command: str
    """The command that runs this experiment alone."""

    keep: bool = False
    """Whether the working copy stays when the experiment is done."""

    @property
    def name(self) -> str:
        """Return the name of the DVC experiment, the working copy and the MLflow run."""
        start = self.group if self.group == TWO_HOURS else f"ablate-{self.group}"
        return f"{start}-{self.arm}-s{self.seed}"


def read_arms(path: Path = ARMS) -> Arms:
    """Read the arms of `path`.

    Raises InserterError that names the key if the file is not valid.
    """
    try:
        return Arms.model_validate(read(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise InserterError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}", "Correct this key") from error


def select(arms: Arms, groups: list[str], arm: str | None, *, seed: int | None, source: Path = ARMS) -> list[Experiment]:
    """Return the experiments of `groups` (empty: all), of one arm and one seed if they are given.

    The order is that of the file, but seed by seed. A group that is stopped early thus has its arms
    to compare before it has their spread.

    Raises InserterError for an unknown group, or if no experiment has that arm and seed.
    """
    unknown = [name for name in groups if name not in arms.groups]
    if unknown:
        raise InserterError(f"there is no group {unknown[0]}", f"Choose one of: {', '.join(arms.groups)}")
    chosen = [
        _experiment(arms, group, name, seed=each, source=source)
        for group, found in arms.groups.items()
        if not groups or group in groups
        for each in sorted({each for member in found.arms.values() for each in member.seeds})
        for name, member in found.arms.items()
        if each in member.seeds and arm in (None, name) and seed in (None, each)
    ]
    if not chosen:
        near = [found for name, found in arms.groups.items() if not groups or name in groups]
        known = [f"{name} {list(each.seeds)}" for found in near for name, each in found.arms.items()]
        raise InserterError("no experiment has that arm and seed", f"Choose one of: {', '.join(known)}")
    return chosen


def overlaid(overlay: Path, name: str, seed: int) -> Experiment:
    """Return the experiment of group `experiment` with the parameters of the file `overlay`.

    The seed is given to the parameters that arms.yaml names.
    """
    overrides = laid_over(read(overlay), nested(dict.fromkeys(read_arms().seeded, seed)))
    command = f"inserter experiment --overlay {shlex.quote(str(overlay))} --name {name} --seed {seed}"
    return Experiment(TWO_HOURS, name, seed, overrides, str(overlay), command, keep=True)


def _experiment(arms: Arms, group: str, arm: str, *, seed: int, source: Path) -> Experiment:
    found = arms.groups[group]
    base: dict[str, object] = nested(arms.base) if found.overlay is None else laid_over(nested(arms.base), read(found.overlay))
    own = "" if source == ARMS else f" --arms {shlex.quote(str(source))}"
    overrides = laid_over(base, nested({**found.arms[arm].set, **dict.fromkeys(arms.seeded, seed)}))
    command = f"inserter ablate {group} --arm {arm} --seed {seed}{own}"
    return Experiment(group, arm, seed, overrides, f"{source.name}, {group}, {arm}", command)


def nested(dotted: Mapping[str, object]) -> dict[str, object]:
    """Return {"a.b": 1} as {"a": {"b": 1}}. If two keys meet, the later one wins."""
    result: dict[str, Any] = {}
    for path, value in dotted.items():
        *sections, key = path.split(".")
        at = result
        for section in sections:
            at = at.setdefault(section, {})
        at[key] = deepcopy(value)  # a later key may write into it
    return result
