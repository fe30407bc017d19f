"""Log one run for the pipeline, and one nested run per stage.

A metric is written once, in reports/STAGE.json, and is read from there.
"""

import csv
import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inserter.evaluation import EvaluateReport, Scores
from inserter.params import Params
from inserter.paths import GATES, REPORTS, SYSTEM, WORK
from inserter.registry.live import LIVE
from inserter.registry.tracking import RESPONSES
from inserter.reports import GateReport, SystemReport
from inserter.run.work import PUBLISHED
from inserter.scoring import table as scoretable
from stages.register.inputs import LOCK, LOSSES_FILE, PARAMS, RESPONSES_FILE, Inputs, passed, stage_hash

if TYPE_CHECKING:
    from mlflow import MlflowClient

BATCH = 900  # MLflow takes at most 1,000 metrics and 100 parameters per request
PARAMETERS_A_BATCH = 90
PLOTS = REPORTS / "plots"


def log_pipeline(client: "MlflowClient", run_id: str, params: Params, *, inputs: Inputs) -> None:
    """Log every parameter, the scores, the gates and the verdicts to the parent run.

    The lock file and the parameter file are logged too: they say how the version was made.
    """
    log_params(client, run_id, params.model_dump(mode="json", by_alias=True))
    log_metrics(client, run_id, dict(flatten(named_comparisons(inputs.evaluate))))
    for path in (RESPONSES_FILE, LOSSES_FILE, REPORTS / "evaluate.json"):  # for `inserter compare`
        if path.exists():
            client.log_artifact(run_id, str(path), RESPONSES.partition("/")[0])
    if scores := score_table(inputs.evaluate.get("speechinstructbench", {})):
        client.log_table(run_id, scores, "benchmark.json")
    for path in (REPORTS / "benchmark.md", REPORTS / "benchmark.png"):
        if path.exists():
            client.log_artifact(run_id, str(path), "benchmark")
    for path in (LOCK, PARAMS):
        if path.exists():
            client.log_artifact(run_id, str(path))
    if inputs.gates:
        for name in inputs.gates:
            client.log_artifact(run_id, str(GATES / f"{name}.json"), "gates")
        client.log_table(run_id, gate_table(inputs.gates), "gates.json")


def log_stages(client: "MlflowClient", parent: str, experiment: str, *, params: Params, inputs: Inputs) -> None:
    """Log a nested run per stage that has a report."""
    sections = params.model_dump(mode="json", by_alias=True)
    for name in (name for name in inputs.reports if name in sections):
        report = inputs.reports[name]
        system = inputs.system.get(name, {})
        end = int((SYSTEM / f"{name}.json").stat().st_mtime * 1000) if system else int(time.time() * 1000)
        start = end - int(1000 * system.get("wall_seconds", 0))
        tags = {"mlflow.parentRunId": parent, "stage": name}
        tags |= {"fingerprint": inputs.fingerprint, "git.commit": inputs.commit}
        if live := live_run(client, experiment, name):
            tags["live_run"] = live
        if name in inputs.lock:
            tags["dvc.stage_hash"] = stage_hash(inputs.lock[name])
        run_id = client.create_run(experiment, start_time=start, tags=tags, run_name=name).info.run_id
        log_params(client, run_id, sections.get(name, {}))
        log_metrics(client, run_id, dict(flatten(named_comparisons(report))), timestamp=end)
        client.log_artifact(run_id, str(REPORTS / f"{name}.json"))
        log_system(client, run_id, system, start=start)
        for path in curves(PLOTS, name):
            log_curve(
                client, run_id, path, timestamp=end, prefix=path.stem.removeprefix(f"{name}-") if path.stem != name else "curve"
            )
        client.set_terminated(run_id, "FINISHED", end)


def live_run(client: "MlflowClient", experiment: str, stage: str) -> str | None:
    """Return the id of the run to which the training of `stage` sent its steps, or None."""
    for done in WORK.glob(f"{stage}/*/{PUBLISHED}.done.json"):
        wanted = f"tags.kind = '{LIVE}' and tags.stage = '{stage}' and tags.key = '{done.parent.name}'"
        if found := client.search_runs([experiment], wanted, max_results=1):
            return found[0].info.run_id
    return None


def log_params(client: "MlflowClient", run_id: str, params: Mapping[str, object]) -> None:
    from mlflow.entities import Param

    rows = [Param(key, str(value)[:6000]) for key, value in flatten(params)]  # MLflow's limit
    for start in range(0, len(rows), PARAMETERS_A_BATCH):
        client.log_batch(run_id, params=rows[start : start + PARAMETERS_A_BATCH])


def log_metrics(
    client: "MlflowClient", run_id: str, values: Mapping[str, object], *, timestamp: int | None = None, model_id: str | None = None
) -> None:
    """Log the finite numbers among `values`; other values stay in the report alone.

    timestamp: ms since the epoch; None: now.
    model_id: the logged model whose metrics they are too.
    """
    when = timestamp or int(time.time() * 1000)
    _log(client, run_id, [(key, value, when, 0) for key, value in values.items()], model_id=model_id)


def log_system(client: "MlflowClient", run_id: str, system: SystemReport, *, start: int, prefix: str = "system") -> None:
    """Log the samples (one per 2 s) by MLflow's names of system metrics, and the totals.

    start: ms since the epoch.
    """
    names = {"rss_mb": "memory_rss_megabytes", "cpu_percent": "cpu_utilization_percentage"}
    rows = [
        (f"{prefix}/{names.get(key, key)}", value, start + int(1000 * row["seconds"]), step)
        for step, row in enumerate(system.get("samples", []))
        for key, value in row.items()
        if key != "seconds"
    ]
    totals = [(f"{prefix}/{key}", value, start, 0) for key, value in system.items() if key != "samples"]
    _log(client, run_id, rows + totals)


def curves(plots: Path, stage: str) -> list[Path]:
    """Return STAGE.csv and STAGE-*.csv in `plots`."""
    return [path for path in sorted(plots.glob(f"{stage}*.csv")) if path.stem == stage or path.stem.startswith(f"{stage}-")]


def log_curve(client: "MlflowClient", run_id: str, path: Path, *, timestamp: int, prefix: str = "curve") -> None:
    """Log a curve as metrics PREFIX/COLUMN by step, as a file and as a picture.

    path: a CSV file with the column "step", then metrics. A table of other things, or without rows,
    is logged as a file only.
    timestamp: ms since the epoch.
    """
    client.log_artifact(run_id, str(path), "plots")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "step" not in rows[0]:
        return
    steps = [int(float(row["step"])) for row in rows]
    columns = [key for key in rows[0] if key != "step"]
    _log(
        client,
        run_id,
        [(f"{prefix}/{c}", row[c], timestamp, s) for s, row in zip(steps, rows, strict=True) for c in columns],
    )
    client.log_figure(run_id, _figure(rows), f"plots/{path.stem}.png")


def score_table(scores: Scores) -> dict[str, list[object]]:
    """Return the columns of a table with one row per task, language, variant and form.

    Shares are 0 to 1, with 95 % intervals.
    """
    found: list[Mapping[str, object]] = list(scoretable.rows(scores))
    return {name: [row[name] for row in found] for name in (found[0] if found else {})}


def gate_table(gates: dict[str, GateReport]) -> dict[str, list[object]]:
    """Return the columns of a table with one row per expectation.

    If no report has expectations, there is one row per gate.
    """
    rows: list[dict[str, object]] = [
        {"gate": name, **found} for name, report in gates.items() for found in report.get("expectations", [])
    ]
    rows = rows or [{"gate": name, "passed": passed(report)} for name, report in gates.items()]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return {key: [_cell(row.get(key)) for row in rows] for key in columns}


def named_comparisons(report: EvaluateReport | dict[str, object]) -> Mapping[str, object]:
    """Return `report` with its list `comparisons` as a dictionary by name.

    A name looks like `en.all.heard-cascade`. Each value has difference, low, high and p_value. A
    report without such a list stays as it is.
    """
    comparisons = report.get("comparisons")
    if not isinstance(comparisons, list):
        return report
    named: dict[str, object] = {}
    for pair in comparisons:
        of_variants = pair["a"]["form"] == pair["b"]["form"]
        variant = f"{pair['a']['variant']}-{pair['b']['variant']}" if of_variants else pair["a"]["variant"]
        form = pair["a"]["form"] if of_variants else f"{pair['a']['form']}-{pair['b']['form']}"
        low, high = pair["interval"] or (None, None)
        figures = {"difference": pair["difference"], "low": low, "high": high, "p_value": pair["p_value"]}
        named[f"{pair['lang']}.{variant}.{form}"] = figures
    return {**report, "comparisons": named}


def flatten(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (name, value) of everything below `value`.

    Names look like `section.key` and `list.0.key`. A list of plain values stays one value. An
    `interval` of two numbers becomes `low` and `high`, which MLflow can show.
    """
    if isinstance(value, dict):
        pairs = list(value.items())
        if isinstance(ends := value.get("interval"), list) and len(ends) == 2:
            pairs = [pair for pair in pairs if pair[0] != "interval"] + [("low", ends[0]), ("high", ends[1])]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        pairs = list(enumerate(value))
    else:
        yield prefix, value
        return
    for key, item in pairs:
        # MLflow allows letters, digits, spaces and _ - . : / in names.
        name = "".join(c if c.isalnum() or c in "_-.:/ " else "_" for c in str(key))
        yield from flatten(item, f"{prefix}.{name}" if prefix else name)


def _log(client: "MlflowClient", run_id: str, points: list[tuple[str, object, int, int]], *, model_id: str | None = None) -> None:
    """Log points (name, value, ms since the epoch, step) in batches.

    A batch takes 0.2 ms per metric; metrics logged one at a time take 3.5 ms each.
    """
    from mlflow.entities import Metric

    numbers = [(key, _number(value), when, step) for key, value, when, step in points]
    metrics = [Metric(key, number, when, step, model_id=model_id) for key, number, when, step in numbers if number is not None]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _cell(value: object) -> object:
    plain = value is None or isinstance(value, str | int | float | bool)
    return value if plain else json.dumps(value, ensure_ascii=False)


def _figure(rows: list[dict[str, str]]) -> object:
    """Return one small plot per column, over the steps."""
    from matplotlib.figure import Figure

    names = [key for key in rows[0] if key != "step"]
    columns = [key for key in names if any(_number(row[key]) is not None for row in rows)]
    figure = Figure(figsize=(6, 2.2 * max(1, len(columns))), layout="constrained")
    for place, key in enumerate(columns, 1):
        points = [(float(row["step"]), number) for row in rows if (number := _number(row[key])) is not None]
        axes = figure.add_subplot(len(columns), 1, place)
        axes.plot(*zip(*points, strict=True))
        axes.set_ylabel(key)
        axes.set_xlabel("step")
    return figure
