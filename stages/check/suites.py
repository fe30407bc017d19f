"""List the tables that each gate looks at, with what is expected of them."""

from collections.abc import Callable

from inserter.params import Params
from stages.check.benchmark import benchmark
from stages.check.corpus import corpus
from stages.check.interleave import interleave
from stages.check.rules import Table
from stages.check.segment import segment
from stages.check.sft import sft
from stages.check.verify import verify

SUITES: dict[str, Callable[[Params], list[Table]]] = {
    "benchmark": benchmark,
    "corpus": corpus,
    "interleave": interleave,
    "segment": segment,
    "sft": sft,
    "verify": verify,
}
