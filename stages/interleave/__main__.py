"""`python -m stages.interleave`: documents, spans and clean clips to data/interleave."""

from inserter.run.runner import run_stage
from stages.interleave.stage import main

if __name__ == "__main__":
    run_stage("interleave", main)
