"""Measure how many times faster one thing is than another, by turns in one run on one machine."""

import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NotRequired, TypedDict

from tqdm import tqdm


class Entry(TypedDict):
    """What was measured."""

    name: str
    ratio: float
    """How many times as fast as the other side: the median of the pairs of runs."""

    low: float
    """The smallest ratio of a pair."""

    high: float
    """The largest ratio of a pair."""

    against: str
    """What the other side is."""

    memory: NotRequired[float]
    """Peak memory, relative to the other side's."""

    equal: NotRequired[int]
    """How many results of a round are the same on both sides."""

    of: NotRequired[int]
    """How many results a round makes."""

    tokens: NotRequired[float]
    """Learnt tokens per second, relative to the other side's."""


def compare(name: str, a: Callable[[], object], b: Callable[[], object], *, against: str, pairs: int = 5) -> Entry:
    """Return how many times faster `a` is than `b`: seconds of b / seconds of a.

    Both run once unmeasured first. Then `pairs` pairs of runs alternate in order.
    against: what b is.
    """
    a(), b()
    ratios = []
    gc.collect()
    gc.freeze()  # objects alive by now are neither side's garbage: do not scan them meanwhile
    try:
        for number in tqdm(range(pairs), desc=name, unit="pair", file=sys.stderr):
            order = (a, b) if number % 2 == 0 else (b, a)
            seconds = {function: _seconds(function) for function in order}
            ratios.append(seconds[b] / seconds[a])
    finally:
        gc.unfreeze()
    low, high = min(ratios), max(ratios)
    return {"name": name, "ratio": statistics.median(ratios), "low": low, "high": high, "against": against}


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak(function: Callable[[], object]) -> int:
    """Return the peak of resident bytes while `function` runs, above those before it.

    Linux counts them.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # glibc may keep and reuse what an earlier function has freed
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # reset the peak
    before = _resident("VmRSS")
    function()
    return _resident("VmHWM") - before


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))
