"""Run the stage: `python -m stages.sft`."""

from inserter.training.processes import run_training_stage
from stages.sft.stage import main

if __name__ == "__main__":
    run_training_stage("sft", main)
