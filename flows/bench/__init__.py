"""Measure ratios side by side, in one run.

The command is `python -m flows.bench [ENTRY...]`, or `make bench`.
"""

from flows.bench.compare import Entry, compare

__all__ = ["Entry", "compare"]
