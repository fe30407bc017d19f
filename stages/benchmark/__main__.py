"""Run the stage: `python -m stages.benchmark`."""

from inserter.run.runner import run_stage
from stages.benchmark.stage import main

if __name__ == "__main__":
    run_stage("benchmark", main)
