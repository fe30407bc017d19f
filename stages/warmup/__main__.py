"""Run the stage: `python -m stages.warmup`."""

from inserter.training.processes import run_training_stage
from stages.warmup.stage import main

if __name__ == "__main__":
    run_training_stage("warmup", main)
