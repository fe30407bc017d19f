"""How many times faster one thing is than another, on one machine, in one run, by turns."""

import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

Entry = dict[str, Any]


def compare(name: str, a: Callable[[], Any], b: Callable[[], Any], against: str, pairs: int = 5) -> Entry:
    """How many times faster `a` is than `b`: seconds of b / seconds of a, over pairs that alternate in order.

    Both run once unmeasured first. {"name", "ratio", "low", "high", "against"}: the median of the ratios of the pairs,
    the smallest and the largest. `against` says what b is.
    """
    a(), b()
    ratios = []
    gc.collect()
    gc.freeze()  # what is alive by now is neither side's garbage: the collector need not go through it meanwhile
    try:
        for number in tqdm(range(pairs), desc=name, unit="pair", file=sys.stderr):
            order = (a, b) if number % 2 == 0 else (b, a)
            seconds = {function: _seconds(function) for function in order}
            ratios.append(seconds[b] / seconds[a])
    finally:
        gc.unfreeze()
    low, high = min(ratios), max(ratios)
    return {"name": name, "ratio": statistics.median(ratios), "low": low, "high": high, "against": against}


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak(function: Callable[[], Any]) -> int:
    """Bytes resident while `function` runs, at most, above those before it (Linux counts them)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what an earlier one has freed glibc may keep, and use again
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the most there ever was is forgotten
    before = _resident("VmRSS")
    function()
    return _resident("VmHWM") - before


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))
