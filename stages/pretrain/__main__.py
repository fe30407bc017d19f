"""Run the stage: `python -m stages.pretrain`."""

from inserter.training.processes import run_training_stage
from stages.pretrain.stage import main

if __name__ == "__main__":
    run_training_stage("pretrain", main)
