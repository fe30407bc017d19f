"""Run the stage: `python -m stages.register`."""

from inserter.run.runner import run_stage
from stages.register.stage import main

if __name__ == "__main__":
    run_stage("register", main)
