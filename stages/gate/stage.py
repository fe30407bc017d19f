"""Give the verdict of a gate on the report of `stages.check`."""

from inserter.errors import InserterError
from inserter.files import read_json
from inserter.paths import GATES
from inserter.reports import Expectation, GateReport


def gate(name: str) -> dict[str, object]:
    """Return {"gate": name, "passed": True}, without figures.

    So the stages after a gate do not run again if only figures change. Raises InserterError with
    the first expectation that failed, the number of rows, their first ids and the remedy.
    """
    report: GateReport = read_json(GATES / f"{name}.json")
    failed = [found for found in report["expectations"] if not found["passed"]]
    if failed:
        raise InserterError(describe(failed[0]) + _others(len(failed) - 1, name), failed[0]["remedy"])
    return {"gate": name, "passed": True}


def describe(found: Expectation) -> str:
    """Describe one failed expectation of a report.

    The text has its name, table, column, limit, observed value, number of rows and first ids.
    """
    where = found["table"] + (f".{found['column']}" if found["column"] else "")
    limit = "" if found["limit"] is None else f" (limit: {_short(found['limit'])})"
    observed = "" if found["observed"] is None else f", observed: {_short(found['observed'])}"
    first = ", ".join(found["first_ids"])
    ids = f"; {found['unexpected_count']} unexpected, first: {first}" if first else ""
    return f"{found['expectation']} failed on {where}{limit}{observed}{ids}"


def _others(count: int, name: str) -> str:
    return f"; {count} more failed, see {GATES / name}.json" if count else ""


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value[:3]) + (", …" if len(value) > 3 else "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)
