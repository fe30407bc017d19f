"""`inserter status`: show each stage's state and cost, the gates, and the registered aliases."""

import sys

from rich.console import Console
from rich.table import Table

from flows import graph
from flows.ask import aliases
from flows.run import say_what_is_not_kept
from flows.summary import duration, gate_report, report
from inserter.params import load
from inserter.paths import SYSTEM
from inserter.reports import GateReport, SystemReport

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
            state(changed.get(stage.name), stage.name in known),
            "" if wall is None else duration(wall),
            "" if peak is None else f"{peak / 1024:.1f} GiB",
            verdict,
        )
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(table)
    for alias, version in sorted(aliases(register).items()):
        console.print(f"{register.model}@{alias}: version {version}")


def state(reasons: list[str] | None, ran_before: bool) -> str:
    """Return `up to date`, `never run`, or `changed: ` and the first reasons."""
    if reasons is None:
        return "up to date"
    if not ran_before:
        return "never run"
    more = f", {len(reasons) - MAX_REASONS} more" if len(reasons) > MAX_REASONS else ""
    return f"changed: {', '.join(reasons[:MAX_REASONS])}{more}"
