"""Run the stage: `python -m stages.interleave`."""

from inserter.run.runner import run_stage
from stages.interleave.stage import main

if __name__ == "__main__":
    run_stage("interleave", main)
