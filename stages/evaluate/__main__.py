"""Run the stage: `python -m stages.evaluate`."""

from inserter.run.runner import run_stage
from stages.evaluate.stage import main

if __name__ == "__main__":
    run_stage("evaluate", main)
