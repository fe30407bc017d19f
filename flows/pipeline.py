"""The Prefect flow `inserter`: one task per stage of DVC's graph.

Gates and the summary become artifacts.
"""

import time
from typing import TypedDict, cast
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import State

from flows import graph, record, steps
from flows.summary import duration, gate_report, gate_rows, summary
from inserter.registry.tracking import FLOW_RUN
from inserter.run.runner import say

RETRY_SECONDS: list[float] = [2, 5, 10, 20]  # another dvc usually holds the lock for a moment


def _locked(task: object, run: object, state: "State[bool]") -> bool:
    """Return whether a retry is worth it: only for DVC's lock.

    A stage that failed would fail again, hours later.
    """
    busy = isinstance(state.result(raise_on_failure=False), graph.Busy)
    if busy:
        say("another DVC process is using this workspace: trying again soon")
    return busy


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=_locked,
)
def run_stage(name: str, place: str, force: bool, *, gate: str | None) -> bool:
    """Run one stage by `dvc repro --single-item`, and return whether it ran.

    False: DVC says that the stage is up to date.
    """
    log = get_run_logger()
    if not force and name not in graph.changes(name):
        say(f"{place} {name}: up to date")
        log.info("%s: up to date", name)
        return False
    start = time.monotonic()
    say(f"{place} {name}")
    try:
        steps.run(name, force, log.info, extra={FLOW_RUN: str(flow_run.id)})
    finally:
        if gate:
            _publish_gate(gate)
    done = duration(time.monotonic() - start)
    say(f"{place} {name}: done in {done}")
    log.info("%s: done in %s", name, done)
    return True


def _publish_gate(name: str) -> None:
    found = gate_report(name)
    if found:
        verdict = "passed" if found.get("passed") else "failed"
        description = f"Gate {name}: {verdict} on {found.get('rows', '?')} rows"
        create_table_artifact(gate_rows(found), key=f"gate-{name}", description=description)


@task(cache_policy=NO_CACHE, persist_result=False)
def promote() -> dict[str, object]:
    """Make the registered version champion if it has earned it."""
    return record.decide()


class Ran(TypedDict):
    """What a run did."""

    ran: list[str]
    """Names of stages."""
    up_to_date: list[str]
    promotion: dict[str, object] | None
    """What `promote` returned, or None without a new version."""


@flow(name="inserter", persist_result=False)
def inserter(stages: list[str] | None = None, force: bool = False) -> Ran:
    """Bring `stages` and all that they need up to date, one after the other, in DVC's order.

    stages: names; None for all stages.
    force: run the named stages (all if None) again, even if nothing changed.

    Raises InserterError with the stage's own message.
    """
    everything = graph.read()
    plan = graph.upstream(everything, stages)
    forced = set(graph.named(everything, stages or [s.name for s in everything])) if force else set()
    # In a synchronous flow, Prefect's artifact functions return the id itself.
    progress = cast(UUID, create_progress_artifact(0.0, key="progress", description=f"inserter: {len(plan)} stages"))
    states: dict[str, State[bool]] = {}
    done: dict[bool, list[str]] = {True: [], False: []}
    for number, stage in enumerate(plan, 1):
        place = f"[{number:2d}/{len(plan)}]"
        step = run_stage.with_options(name=stage.name, task_run_name=stage.name)
        needs = [states[need] for need in stage.needs]
        state = step(stage.name, place, stage.name in forced, gate=stage.gate, wait_for=needs, return_state=True)
        done[state.result()].append(stage.name)  # raises what stopped the stage
        states[stage.name] = state
        update_progress_artifact(progress, 100.0 * number / len(plan))
    decision = promote() if "register" in states and record.pending() else None
    create_markdown_artifact(f"```\n{summary()}\n```", key="summary", description="Results in this workspace")
    return {"ran": done[True], "up_to_date": done[False], "promotion": decision}
