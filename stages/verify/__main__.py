"""Run the stage: `python -m stages.verify`."""

from inserter.run.runner import run_stage
from stages.verify.stage import main

if __name__ == "__main__":
    run_stage("verify", main)
