"""Precision of products: bf16 where it is faster, else fp32.

torch is imported only where a product is measured, because parameters are also read where nothing
is trained.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GPUS = ("/dev/nvidiactl", "/dev/kfd")
CPU = "/proc/cpuinfo"
# bf16 also costs casts. Among CPUs with AVX-512's bf16, products were 0.4 times as fast in bf16 on
# one machine and 4.8 times on another (docs/LOG.md), so that the flag alone tells nothing.
FASTER = 1.5


def cpu_flags(cpu: str = CPU) -> set[str]:
    """Return the name and the instruction sets of this machine's CPU, as words.

    The set is empty where /proc/cpuinfo is missing.
    """
    path = Path(cpu)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    kept = [next((line for line in lines if line.startswith(name)), "") for name in ("model name", "flags")]
    return set(" ".join(kept).split())


@cache
def speedup() -> float:
    """Return how many times as fast this CPU multiplies in bf16 as in fp32.

    Takes some 50 ms: the best of five products of the LM's size in each precision.
    """
    import torch
    from torch.nn.functional import linear

    def seconds(dtype: torch.dtype) -> float:
        x, weight = (torch.ones(rows, 576, dtype=dtype) for rows in (512, 1536))
        times = []
        for _ in range(6):
            start = perf_counter()
            linear(x, weight)
            times.append(perf_counter() - start)
        return min(times[1:])

    return seconds(torch.float32) / seconds(torch.bfloat16)


def bf16_is_fast(gpus: tuple[str, ...] = GPUS, cpu: str = CPU, measured: Callable[[], float] = speedup) -> bool:
    """Return whether this machine multiplies bf16 faster than fp32.

    This holds for a GPU and for a CPU with AMX. A CPU with only AVX-512's bf16 is measured.
    """
    if any(Path(device).exists() for device in gpus):
        return True
    flags = cpu_flags(cpu)
    return "amx_bf16" in flags or ("avx512_bf16" in flags and measured() > FASTER)


def in_bf16(precision: str, device: "torch.device") -> bool:
    """Return whether products on a torch device are computed in bf16.

    `auto` chooses the faster of both. Raises ValueError for an unknown precision.
    """
    if precision == "auto":
        return device.type != "cpu" or bf16_is_fast(gpus=())
    if precision not in ("bf16", "fp32"):
        raise ValueError(f"precision {precision!r} is not known; give auto, bf16 or fp32")
    return precision == "bf16"
