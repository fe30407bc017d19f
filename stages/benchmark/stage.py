"""Run the stage: `python -m stages.benchmark`."""

from inserter.params import Params
from inserter.reports import BenchmarkReport
from inserter.run.runner import output
from stages.benchmark import own, real


def main(params: Params) -> BenchmarkReport:
    build = own.build if params.benchmark.path == "own" else real.build
    return build(params.benchmark, output("benchmark"))
