"""Run the stage: `python -m stages.corpus`."""

from inserter.run.runner import run_stage
from stages.corpus.stage import main

if __name__ == "__main__":
    run_stage("corpus", main)
