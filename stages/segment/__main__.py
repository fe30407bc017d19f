"""Run the stage: `python -m stages.segment`."""

from inserter.run.runner import run_stage
from stages.segment.stage import main

if __name__ == "__main__":
    run_stage("segment", main)
