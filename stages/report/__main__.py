"""Run the stage: `python -m stages.report`."""

from inserter.run.runner import run_stage
from stages.report.stage import build

if __name__ == "__main__":
    run_stage("report", lambda _: build())
