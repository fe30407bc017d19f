"""Run the stage: `python -m stages.listen`."""

from inserter.run.runner import run_stage
from stages.listen.stage import build

if __name__ == "__main__":
    run_stage("listen", lambda _: build())
