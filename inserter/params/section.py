"""Base class and field types of the sections of `params.yaml`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the first bound must not exceed the second")
    return bounds


def within(low: float, high: float) -> Callable[[tuple[float, float]], tuple[float, float]]:
    def check(bounds: tuple[float, float]) -> tuple[float, float]:
        if not low <= bounds[0] <= bounds[1] <= high:
            raise ValueError(f"both bounds must be from {low} to {high}, the lower one first")
        return bounds

    return check


Range = Annotated[tuple[float, float], AfterValidator(_ascending)]

GPUS = ("/dev/nvidiactl", "/dev/kfd")


def bf16_is_fast(gpus: tuple[str, ...] = GPUS, cpu: str = "/proc/cpuinfo") -> bool:
    """Return whether this machine is known to multiply bf16 faster than fp32.

    This holds for a GPU and for a CPU with AMX. A CPU that has only AVX-512's bf16 trained 118
    positions per second in bf16 and 166 in fp32 (docs/LOG.md).

    torch is not imported, because parameters are also read where nothing is trained.
    """
    if any(Path(device).exists() for device in gpus):
        return True
    return Path(cpu).is_file() and "amx_bf16" in Path(cpu).read_text(encoding="utf-8", errors="replace").split()


def _known(value: Any) -> Any:
    return ("bf16" if bf16_is_fast() else "fp32") if value == "auto" else value


Precision = Annotated[Literal["bf16", "fp32"], BeforeValidator(_known)]
"""Precision of products. `auto` in params.yaml selects the faster one on this machine."""


def _distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [getattr(item, "name", item) for item in items]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice: {', '.join(names)}")
    return items


Distinct = AfterValidator(_distinct)
"""No item twice; items are texts, or sections with a name."""


class Section(BaseModel):
    """A section of `params.yaml`: frozen, and unknown keys are refused.

    Only Source and Voice have defaults, so `params.yaml` shows every other setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
