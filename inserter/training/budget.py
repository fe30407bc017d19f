"""Decide how many steps fit into a number of minutes, from the rate that this machine reaches.

The number is decided once per work folder, because the learning rate's schedule depends on it.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from inserter.run.curve import budget_mark
from inserter.run.work import WorkFolder
from inserter.training.processes import from_main, rank

WARM_UP = 1  # steps before the measurement: the first one allocates memory and chooses kernels
TRIALS = 3  # steps that are measured


@dataclass(frozen=True)
class Budget:
    """What fits into the minutes."""

    steps: int
    """At least 1."""

    positions_a_second: float
    """Of the steps that were measured, over all ranks."""


def decided(name: str, minutes: float, work: WorkFolder, *, trial: Callable[[int], int]) -> Budget:
    """Return the budget of the phase `name`, which the first call measures and records in `work`.

    trial: runs one step of the plan without a change of the weights, and returns its positions.

    Rank 0 measures and decides for all ranks, which have to call this function together.
    """
    known: Any = from_main(work.marker(budget_mark(name)))
    if known is None:
        known = from_main(asdict(measured(minutes, trial)))
        if rank() == 0:
            work.mark(budget_mark(name), known)
    return Budget(**known)


def measured(minutes: float, trial: Callable[[int], int]) -> Budget:
    """Return what fits into the minutes. trial: see `decided`."""
    for step in range(WARM_UP):
        trial(step)
    start = time.monotonic()
    positions = sum(trial(WARM_UP + step) for step in range(TRIALS))
    seconds = time.monotonic() - start
    return Budget(max(1, int(60 * minutes * TRIALS / seconds)), positions / seconds)
