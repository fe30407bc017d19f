"""Run the stage: `python -m stages.synthesize`."""

from inserter.run.runner import run_stage
from stages.synthesize.stage import main

if __name__ == "__main__":
    run_stage("synthesize", main)
