"""`inserter status`: show each stage's state and cost, the gates, and the registered aliases.

Of a running training the state says how far it is.
"""

import sys

from rich.console import Console
from rich.table import Table

from flows import graph
from flows.ask import aliases
from flows.run import say_what_is_not_kept
from flows.summary import duration, gate_report, report
from inserter.params import load
from inserter.paths import SYSTEM, WORK
from inserter.reports import GateReport, SystemReport
from inserter.run.curve import Progress, progress
from inserter.run.lifetime import running_since

MAX_REASONS = 3


def status() -> None:
    """Print the table on standard output."""
    register = load().register_
    say_what_is_not_kept()
    stages, changed, known = graph.read(), graph.changes(), graph.recorded()
    table = Table("stage", "state", "wall time", "peak memory", "gate", box=None)
    for stage in stages:
        system = report(SYSTEM / f"{stage.name}.json", SystemReport)
        wall, peak = system.get("wall_seconds"), system.get("peak_rss_mb")
        gate = gate_report(stage.gate) if stage.gate else GateReport()
        verdict = ("passed" if gate.get("passed") else "FAILED") if gate else ""
        table.add_row(
            stage.name,
            running(stage.name) or state(changed.get(stage.name), stage.name in known),
            "" if wall is None else duration(wall),
            "" if peak is None else f"{peak / 1024:.1f} GiB",
            verdict,
        )
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(table)
    for alias, version in sorted(aliases(register).items()):
        console.print(f"{register.model}@{alias}: version {version}")


def running(stage: str) -> str | None:
    """Return `running`, with how far a training is; None if the stage does not run."""
    since = running_since(WORK / f"{stage}.lock")
    if since is None:
        return None
    found = progress(stage, since)
    return f"running: {how_far(found)}" if found else "running"


def how_far(found: Progress) -> str:
    """Return `step 12 of 24, loss 2.345, 251 positions/s, 48.0 s left`."""
    parts = [f"step {found.done} of {found.steps}", f"loss {found.loss:.3f}"]
    if found.speed is not None:
        parts.append(f"{found.speed:,.0f} positions/s")
    if found.left:
        parts.append(f"{duration(found.left)} left")
    return ", ".join(parts)


def state(reasons: list[str] | None, ran_before: bool) -> str:
    """Return `up to date`, `never run`, or `changed: ` and the first reasons."""
    if reasons is None:
        return "up to date"
    if not ran_before:
        return "never run"
    more = f", {len(reasons) - MAX_REASONS} more" if len(reasons) > MAX_REASONS else ""
    return f"changed: {', '.join(reasons[:MAX_REASONS])}{more}"
