"""Run a stage: `python -m stages.NAME` calls `run_stage("NAME", main)`."""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from inserter.errors import InserterError, refused, shown
from inserter.files import write_json
from inserter.params import Params, load
from inserter.paths import DATA, REPORTS, SYSTEM, WORK
from inserter.run.lifetime import die_with_parent, stage_lock
from inserter.run.quiet import quiet
from inserter.run.work import drop_resume_points

SAMPLE_SECONDS = 2.0


class SystemSampler(threading.Thread):
    """Sample the memory of this process and its children, and the machine's CPU, every 2 s.

    The samples become part of `reports/system/STAGE.json`.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.rows: list[dict[str, float]] = []
        self.stop = threading.Event()

    def sample(self, start: float) -> None:
        me = psutil.Process()
        rss = 0
        for process in [me, *me.children(recursive=True)]:
            try:
                rss += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.rows.append({"seconds": time.monotonic() - start, "rss_mb": rss / 2**20, "cpu_percent": psutil.cpu_percent()})

    def run(self) -> None:
        start = time.monotonic()
        psutil.cpu_percent()
        while True:
            self.sample(start)
            if self.stop.wait(SAMPLE_SECONDS):
                break


def run_stage(name: str, main: Callable[[Params], Mapping[str, Any]], report: Path | None = None) -> None:
    """Run `main(params)` alone in this workspace and write its result to `report`.

    The default of `report` is `reports/NAME.json`. An InserterError ends the process with one line
    and exit code 1.

    Wall time and memory go to `reports/system/NAME.json`, because DVC's outputs must not differ
    from run to run.
    """
    quiet()
    die_with_parent()
    start = time.monotonic()
    sampler = SystemSampler()
    rank = os.environ.get("RANK")  # of torchrun
    who = name if rank is None else f"{name}, rank {rank}"
    try:
        if int(rank or "0") > 0:  # rank 0 alone locks and reports
            main(load())
            return
        with stage_lock(WORK / f"{name}.lock"):
            drop_resume_points(name)
            sampler.start()
            metrics = dict(main(load()))
            system = metrics.pop("system", {})  # figures that differ in every run
            sampler.stop.set()
            sampler.join()
            write_json(report or REPORTS / f"{name}.json", metrics)
            wall = time.monotonic() - start
            peak = max(row["rss_mb"] for row in sampler.rows)
            write_json(SYSTEM / f"{name}.json", {"wall_seconds": wall, "peak_rss_mb": peak, **system, "samples": sampler.rows})
    except InserterError as error:
        print(f"{who}: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if (line := refused(error)) is None:
            raise
        print(f"{who}: {line}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"{who}: stopped; run again to resume", file=sys.stderr)
        sys.exit(130)


def say(text: str) -> None:
    """Print a line of progress to standard error; standard output is for results."""
    print(shown(text), file=sys.stderr, flush=True)


def output(name: str) -> Path:
    """Return the stage's output folder, data/NAME."""
    return DATA / name
