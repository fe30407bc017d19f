"""The Prefect flow `ablate`: one task per experiment, one after the other.

An experiment that fails does not stop the others.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows import steps
from flows.ablate import copies
from flows.ablate.arms import Experiment, overlaid, read_arms, select
from flows.ablate.results import followed, new, record, result
from flows.ablate.tracking import log_run
from flows.summary import duration
from inserter.params import load
from inserter.run.runner import say

LAST = "evaluate"  # the last stage of an experiment: nothing is registered
PROGRESS = re.compile(r"(?:Running stage|Stage) '(.+?)'(?::| is (cached))")  # as dvc prints it


@task(cache_policy=NO_CACHE, persist_result=False)
def run_experiment(place: str, experiment: Experiment, params: Mapping[str, object], *, key: str, revision: str) -> Path:
    """Run every stage up to `evaluate` in the experiment's working copy, and record the result.

    The result goes to a DVC experiment, an MLflow run and the recorded results.

    Return the folder of the working copy, which is gone by then unless `experiment.keep`.
    """
    log = get_run_logger()
    start = time.monotonic()
    say(f"{place} {experiment.name}")

    def follow(line: str) -> None:
        log.info(line)
        if found := PROGRESS.match(line):
            say(f"{place} {experiment.name}: {found[1]}{': from the cache' if found[2] else ''}")

    folder = copies.make(experiment.name, revision, params)
    extra = copies.environment()
    steps.dvc(experiment.name, ["repro", LAST], follow, folder=folder, extra=extra)
    steps.dvc(experiment.name, ["exp", "save", "--force", "--name", experiment.name, LAST], log.info, folder=folder, extra=extra)
    row = result(experiment, key, folder, revision=revision)
    log_run(load().register_, experiment, row, folder=folder)
    record(row, followed(experiment, folder))
    if not experiment.keep:
        copies.remove(experiment.name)
    done = duration(time.monotonic() - start)
    say(f"{place} {experiment.name}: done in {done}, gap closed {row['gap_closed']}")
    return folder


def run_all(experiments: list[Experiment], revision: str) -> dict[str, str]:
    """Run the experiments that have no recorded result.

    Return {name: message} of those that failed.
    """
    waiting = {experiment.name: (params, key) for experiment, params, key in new(experiments, revision)}
    failed: dict[str, str] = {}
    for number, experiment in enumerate(experiments, 1):
        place = f"[{number:2d}/{len(experiments)}]"
        if experiment.name not in waiting:
            say(f"{place} {experiment.name}: already recorded")
            continue
        step = run_experiment.with_options(name=experiment.name, task_run_name=experiment.name)
        params, key = waiting[experiment.name]
        state = step(place, experiment, params, key=key, revision=revision, return_state=True)
        if not state.is_completed():
            failed[experiment.name] = str(state.result(raise_on_failure=False))
            say(f"{place} {failed[experiment.name]}")
    return failed


@flow(name="ablate", persist_result=False)
def ablate(groups: list[str], arm: str | None = None, seed: int | None = None, *, arms_file: str | None = None) -> dict[str, str]:
    """Run the experiments of `groups` (empty: all) that have no result yet.

    A result counts only for this code and these parameters. Return {name: message} of those that
    failed.
    """
    source = {"source": Path(arms_file)} if arms_file else {}
    arms = read_arms(*source.values())
    return run_all(select(arms, groups, arm, seed=seed, **source), copies.commit())


@flow(name="experiment", persist_result=False)
def experiment(overlay: str, name: str, seed: int) -> dict[str, str]:
    """Run everything once with the parameters of the file `overlay` laid over params.yaml.

    Return {name: message} if it failed.
    """
    return run_all([overlaid(Path(overlay), name, seed)], copies.commit())
