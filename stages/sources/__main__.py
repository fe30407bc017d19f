"""Run the stage: `python -m stages.sources`."""

from inserter.run.runner import run_stage
from stages.sources.stage import main

if __name__ == "__main__":
    run_stage("sources", main)
