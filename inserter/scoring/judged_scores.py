"""Turn a judge's verdicts into shares with intervals."""

from collections.abc import Sequence
from types import ModuleType
from typing import cast

import numpy as np

from inserter.evaluation import JudgedCell
from inserter.scoring import adjustment, open_ended
from inserter.scoring.intervals import share_interval
from inserter.scoring.records import Given

SCORERS: dict[str, ModuleType] = {"open": open_ended, "adjustment": adjustment}


def judged_cell(task: str, name: str, verdicts: Sequence[Given]) -> JudgedCell:
    """Return the scores of a task's verdicts, rows of its scorer, with intervals.

    The intervals' randomness comes from the task and `name`.
    """
    counted = [points(task, verdict) for verdict in verdicts if verdict["counted"]]
    interval = {
        score: share_interval(np.array([c[score][0] for c in counted]), np.array([c[score][1] for c in counted]), task, name, score)
        for score in (counted[0] if counted else {})
    }
    return cast(JudgedCell, {"judged": True, **SCORERS[task].aggregate(verdicts), "interval": interval})


def points(task: str, verdict: Given) -> dict[str, tuple[float, float]]:
    """Return (points, maximum) of a counted verdict for each score of the task."""
    if task == "adjustment":
        return {score: (float(verdict[score]), 1.0) for score in ("iar", "ecr")}
    votes = verdict["votes"]
    return {"prompt": (float(verdict["prompt_correct"]), 1.0), "instruction": (float(votes.count("YES")), float(len(votes)))}
