"""Run the stage: `python -m stages.evaluate`."""

from inserter.training.processes import run_training_stage
from stages.evaluate.stage import main

if __name__ == "__main__":
    run_training_stage("evaluate", main)
