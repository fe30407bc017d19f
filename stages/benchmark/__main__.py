"""`python -m stages.benchmark`"""

from typing import Any

from stages.benchmark import own, real
from stages.common.params import Params
from stages.common.runner import output, run_stage


def main(params: Params) -> dict[str, Any]:
    build = own.build if params.benchmark.path == "own" else real.build
    return build(params.benchmark, output("benchmark"))


if __name__ == "__main__":
    run_stage("benchmark", main)
