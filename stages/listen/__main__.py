"""Run the stage: `python -m stages.listen`."""

from typing import Any

from inserter.params import Params
from inserter.run.runner import run_stage
from stages.listen.build import build


def main(params: Params) -> dict[str, Any]:
    return build()


if __name__ == "__main__":
    run_stage("listen", main)
