"""Generate instructions for SFT and for the benchmark from our own templates and a seed.

There are closed-ended, open-ended and adjustment prompts. The constraints of closed-ended prompts
are the 25 types of IFEval, with its ids and arguments.

Two worlds share nothing but these types. The model learns from the world `train` (train.yaml). The
world `benchmark` (benchmark.yaml, in Chinese benchmark_cn.yaml) is held out: it has other topics,
requests and wordings of each constraint. Open-ended and adjustment prompts belong to the
benchmark's world.

Every wording can be heard: marks are named in words ("double angular brackets").
"""

from inserter.prompts.adjustment import generate_adjustment
from inserter.prompts.closed import INSTRUCTION_TYPES, PAIRED, generate
from inserter.prompts.constraints import CONSTRAINTS
from inserter.prompts.languages import Lang
from inserter.prompts.open import generate_open
from inserter.prompts.prompt import Arguments, Prompt
from inserter.prompts.similarity import overlap, overlaps
from inserter.prompts.worlds import World

__all__ = [
    "CONSTRAINTS",
    "INSTRUCTION_TYPES",
    "PAIRED",
    "Arguments",
    "Lang",
    "Prompt",
    "World",
    "generate",
    "generate_adjustment",
    "generate_open",
    "overlap",
    "overlaps",
]
